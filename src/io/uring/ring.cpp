#include "io/uring/ring.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <new>
#include <system_error>

namespace sluice::io {

namespace {

/// The best first; a kernel that does not know a flag says EINVAL.
constexpr std::array<unsigned, 4> kFlags = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN,  // Linux 6.1
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,                               // 6.0
    IORING_SETUP_COOP_TASKRUN,                                                            // 5.19
    0,
};
constexpr unsigned kNeeded = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                             IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG;

unsigned load_acquire(const unsigned* value) {
  return std::atomic_ref<unsigned>(*const_cast<unsigned*>(value)).load(std::memory_order_acquire);
}
void store_release(unsigned* to, unsigned value) {
  std::atomic_ref<unsigned>(*to).store(value, std::memory_order_release);
}

int disabled_by_sysctl() {
  int value = 0;
  std::ifstream("/proc/sys/kernel/io_uring_disabled") >> value;
  return value;
}

std::string why_refused(int system) {
  std::string why = "io_uring_setup: " + std::generic_category().message(system);
  if (system == EPERM && disabled_by_sysctl() > 0)
    why += " (kernel.io_uring_disabled = " + std::to_string(disabled_by_sysctl()) + ")";
  else if (system == EPERM || system == EACCES)
    why += " (a seccomp filter or security module)";
  else if (system == ENOSYS)
    why += " (a kernel without io_uring, or a seccomp filter)";
  else if (system == ENOMEM)
    why += " (too little locked memory: ulimit -l)";
  return why;
}

}  // namespace

std::expected<std::unique_ptr<Ring>, std::string> Ring::open() {
  std::unique_ptr<Ring> ring(new Ring);
  auto done = ring->set_up();
  if (!done) return std::unexpected(std::move(done.error()));
  return ring;
}

std::expected<void, std::string> Ring::set_up() {
  io_uring_params parameters;
  for (unsigned flags : kFlags) {
    std::memset(&parameters, 0, sizeof parameters);
    parameters.flags = flags | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE;
    parameters.cq_entries = kCompletions;
    descriptor_ = static_cast<int>(syscall(SYS_io_uring_setup, kSubmissions, &parameters));
    if (descriptor_ >= 0 || errno != EINVAL) break;
  }
  if (descriptor_ < 0) return std::unexpected(why_refused(errno));
  if ((parameters.features & kNeeded) != kNeeded)
    return std::unexpected("the kernel's io_uring is too old: Linux 6.0 is needed");
  return map(parameters);
}

std::expected<void, std::string> Ring::map(const io_uring_params& parameters) {
  auto map_at = [&](size_t bytes, uint64_t what) -> void* {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor_,
                    static_cast<off_t>(what));
    return at == MAP_FAILED ? nullptr : at;
  };
  queues_bytes_ = std::max(parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned),
                           parameters.cq_off.cqes + parameters.cq_entries * sizeof(io_uring_cqe));
  entries_bytes_ = parameters.sq_entries * sizeof(io_uring_sqe);
  queues_ = map_at(queues_bytes_, IORING_OFF_SQ_RING);
  entries_ = static_cast<io_uring_sqe*>(map_at(entries_bytes_, IORING_OFF_SQES));
  if (!queues_ || !entries_)
    return std::unexpected("io_uring: mapping its queues: " + std::generic_category().message(errno));

  auto number_at = [&](unsigned offset) {
    return reinterpret_cast<unsigned*>(static_cast<char*>(queues_) + offset);
  };
  submission_head_ = number_at(parameters.sq_off.head);
  submission_tail_ = number_at(parameters.sq_off.tail);
  submission_mask_ = *number_at(parameters.sq_off.ring_mask);
  submission_count_ = parameters.sq_entries;
  completion_head_ = number_at(parameters.cq_off.head);
  completion_tail_ = number_at(parameters.cq_off.tail);
  completion_mask_ = *number_at(parameters.cq_off.ring_mask);
  completions_ = reinterpret_cast<const io_uring_cqe*>(number_at(parameters.cq_off.cqes));
  // Entry N always goes by place N.
  unsigned* order = number_at(parameters.sq_off.array);
  for (unsigned i = 0; i < submission_count_; ++i) order[i] = i;
  return {};
}

Ring::~Ring() {
  if (queues_) munmap(queues_, queues_bytes_);
  if (entries_) munmap(entries_, entries_bytes_);
  if (descriptor_ >= 0) close(descriptor_);
}

void Ring::enable() {
  if (enabled_) return;
  // The first time; a ring that is enabled already says EBADFD.
  syscall(SYS_io_uring_register, descriptor_, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  io_uring_rsrc_update update{};
  update.offset = std::numeric_limits<unsigned>::max();
  update.data = static_cast<unsigned>(descriptor_);
  // Saves the look-up of the descriptor in each call; without it all is as well.
  if (syscall(SYS_io_uring_register, descriptor_, IORING_REGISTER_RING_FDS, &update, 1) == 1)
    registered_ = static_cast<int>(update.offset);
  enabled_ = true;
}

void Ring::disable() {
  if (!enabled_) return;
  if (registered_ >= 0) {
    io_uring_rsrc_update update{};
    update.offset = static_cast<unsigned>(registered_);
    syscall(SYS_io_uring_register, descriptor_, IORING_UNREGISTER_RING_FDS, &update, 1);
    registered_ = -1;
  }
  enabled_ = false;
}

io_uring_sqe& Ring::next_submission() {
  while (queued_ - load_acquire(submission_head_) == submission_count_) submit();
  io_uring_sqe& entry = entries_[queued_++ & submission_mask_];
  std::memset(&entry, 0, sizeof entry);
  return entry;
}

bool Ring::withdraw(uint64_t user_data) {
  for (unsigned i = submitted_; i != queued_; ++i) {
    io_uring_sqe& entry = entries_[i & submission_mask_];
    if (entry.user_data != user_data) continue;
    std::memset(&entry, 0, sizeof entry);
    entry.opcode = IORING_OP_NOP;
    entry.user_data = user_data;
    return true;
  }
  return false;
}

/// Makes room in a full queue.
void Ring::submit() {
  store_release(submission_tail_, queued_);
  enable();
  call(queued_ - submitted_, 0, IORING_ENTER_GETEVENTS, nullptr, 0);
}

void Ring::enter(const timespec* timeout, bool forever) {
  store_release(submission_tail_, queued_);
  __kernel_timespec limit{};
  io_uring_getevents_arg argument{};
  unsigned flags = IORING_ENTER_GETEVENTS;
  bool waits = timeout || forever;
  if (timeout) {
    limit = {.tv_sec = timeout->tv_sec, .tv_nsec = timeout->tv_nsec};
    argument.ts = reinterpret_cast<uint64_t>(&limit);
    flags |= IORING_ENTER_EXT_ARG;
  }
  // EBUSY and EAGAIN: the kernel wants completions to be taken first; EINTR, ETIME: nothing has come.
  call(queued_ - submitted_, waits ? 1 : 0, flags, timeout ? &argument : nullptr,
       timeout ? sizeof argument : 0);
}

void Ring::call(unsigned submit_count, unsigned wait_count, unsigned flags, const void* argument,
                size_t size) {
  int descriptor = descriptor_;
  if (registered_ >= 0) {
    descriptor = registered_;
    flags |= IORING_ENTER_REGISTERED_RING;
  }
  syscall(SYS_io_uring_enter, descriptor, submit_count, wait_count, flags, argument, size);
  submitted_ = load_acquire(submission_head_);
}

unsigned Ring::completions() const { return load_acquire(completion_tail_) - *completion_head_; }

bool Ring::pop(io_uring_cqe& completion) {
  unsigned head = *completion_head_;
  if (head == load_acquire(completion_tail_)) return false;
  const io_uring_cqe& from = completions_[head & completion_mask_];
  completion.user_data = from.user_data;
  completion.res = from.res;
  completion.flags = from.flags;
  store_release(completion_head_, head + 1);
  return true;
}

int Ring::register_buffers(void* memory, unsigned count, unsigned short group) {
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uint64_t>(memory);
  registration.ring_entries = count;
  registration.bgid = group;
  int done = static_cast<int>(
      syscall(SYS_io_uring_register, descriptor_, IORING_REGISTER_PBUF_RING, &registration, 1));
  return done < 0 ? errno : 0;
}

}  // namespace sluice::io
