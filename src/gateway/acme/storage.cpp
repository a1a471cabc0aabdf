#include "gateway/acme/storage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace sluice::gateway::acme {

namespace {

constexpr size_t kMostBytes = 1 << 20;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }
  bool good() const { return number_ >= 0; }

 private:
  int number_;
};

std::unexpected<std::string> system_error() { return std::unexpected(std::string(std::strerror(errno))); }

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(file) == 0;
}

}  // namespace

std::string read_secret(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::string piece(4096, '\0');
  while (file.good() && text.size() < kMostBytes) {
    ssize_t got = read(file.number(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(piece, 0, static_cast<size_t>(got));
  }
  return text;
}

std::expected<void, std::string> write_secret(const std::string& path, const std::string& text) {
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  bool made = std::filesystem::create_directories(folder, error);
  if (error) return std::unexpected(error.message());
  if (made) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  const std::string temporary = path + ".new";
  {
    Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.good() || !write_all(file.number(), text)) return system_error();
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return system_error();
  // The name too is to survive a crash.
  Descriptor directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.good() || fsync(directory.number()) != 0) return system_error();
  return {};
}

}  // namespace sluice::gateway::acme
