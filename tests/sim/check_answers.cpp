// The checks of a run's answers: each call against what was expected when it was drawn, and against what the
// upstreams say they have sent.
#include <algorithm>

#include "base/ascii.h"
#include "excuses.h"
#include "faults.h"
#include "run.h"

namespace sluice::sim {

namespace {

class Checker {
 public:
  Checker(const RunView& run, Violations& violations) : run_(run), violations_(violations) {}

  void check(const Call& call) {
    call_ = &call;
    last_ = last_try(call, call.head.fields.value("x-sim-serving"));
    excuse_ = find_excuse(run_, call);
    check_deed();
    if (call.outcome == Outcome::kUnsent) return check_unsent();
    check_tries();
    Call const& c = call;
    std::string_view number = c.head.fields.value("x-sim-serving");
    if (c.outcome == Outcome::kClosed) return check_closed(number);
    check_closing();
    if (number.empty())
      check_own();
    else
      check_passed(number);
    check_times();
  }

 private:
  template <class... A>
  void add(Invariant invariant, fmt::format_string<A...> format, A&&... arguments) {
    std::string what = fmt::format(format, std::forward<A>(arguments)...);
    violations_.add(invariant, "exchange {} ({} {}, {:.3f} s to {:.3f} s{}): {}", call_->number,
                    call_->method, call_->kind, at(call_->begun), at(call_->ended), story(), what);
  }
  static double at(Instant instant) { return seconds(instant.time_since_epoch()) - 1000; }

  /// The tries of the call, for messages.
  std::string story() const {
    std::string text;
    for (const Serving* serving : call_->servings)
      text += fmt::format("; {} {} {}{}{}", serving->target, upstream_deed_text(serving->deed),
                          serving->status, serving->reused ? " on a kept connection" : "",
                          serving->answered ? ", sent whole" : "");
    if (call_->deed != ClientDeed::kNone)
      text += fmt::format("; the client {}", client_deed_text(call_->deed));
    return text;
  }

  void check_unsent() {
    bool excused = !run_.calm || run_.profile.early_drain || run_.profile.client_deeds;
    if (!excused) add(Invariant::kUndisturbed, "it was never sent: its connection was not to be had");
  }

  /// What a client does is borne for as long as it must be, and no longer.
  void check_deed() {
    const Call& call = *call_;
    if (!run_.calm || call.outcome == Outcome::kUnsent || run_.profile.early_drain) return;
    const Document& document = run_.document;
    Duration took = call.ended - call.turn;
    if (call.deed == ClientDeed::kStallRequest) {
      bool in_head = !call.head_sent && call.deed_at > 2 && call.turn == call.begun && !call.write_piece &&
                     !call.reads_slowly && !call.excused_by_order && call.kind != "malformed";
      bool exact =
          call.head.status() == 408 && took + kSlack > document.header && took < document.header + kSlack;
      if (in_head && !exact)
        add(Invariant::kNoEndlessWait, "half a head was borne for {} s and answered {}", seconds(took),
            call.head.status());
      bool read = call.head_sent && last_ && last_->deed == UpstreamDeed::kAnswer && !last_->early;
      bool in_prefix = call.head_sent && !last_ && call.kind == "pick" && !call.excused_by_order;
      if ((read || in_prefix) && !call.reads_slowly && !call.total && took > 4 * document.body_progress)
        add(Invariant::kNoEndlessWait, "its silence in the body was borne for {} s", seconds(took));
      if (took > document.keep_alive + document.stream_idle)
        add(Invariant::kNoEndlessWait, "its silence was borne for {} s", seconds(took));
    }
    bool drops = call.deed == ClientDeed::kTrickle && last_ && last_->deed == UpstreamDeed::kAnswer;
    if (drops && took > 8 * document.body_progress)
      add(Invariant::kNoEndlessWait, "it trickled for {} s", seconds(took));
    const uint64_t in_buffers = call.tls ? 220'000 : 150'000;  // TLS has one more at each end
    bool deaf = call.deed == ClientDeed::kStallAnswer && call.outcome == Outcome::kAnswered;
    if (deaf && call.answer.size() > call.deed_at + in_buffers)
      add(Invariant::kNoEndlessWait, "it read nothing for a long time and was still given {} bytes",
          call.answer.size());
    constexpr Duration kLinger = std::chrono::seconds(2);
    bool prompt =
        !call.reads_slowly && call.deed != ClientDeed::kStallAnswer && call.outcome == Outcome::kAnswered;
    bool deaf_next = call.next && call.next->deed == ClientDeed::kStallAnswer;
    if (prompt && !deaf_next && call.closed > call.ended + kLinger + kSlack)
      add(Invariant::kNoEndlessWait, "its last answer was whole, and its connection was closed {} s later",
          seconds(call.closed - call.ended));
    bool clean = call.next || !call.written || call.spoiled || !call.closed_by_reset;
    if (call.outcome == Outcome::kAnswered && !clean)
      add(Invariant::kOneAnswer,
          "its connection was reset behind its answer, which the reset may take along");
    bool silent = !call.total && last_ && !last_->answered && last_->deed == UpstreamDeed::kSilence;
    // One that leaves with its last byte may be missed until the gateway writes.
    if (call.deed == ClientDeed::kLeave && call.left_at > call.sent && silent &&
        last_->left_at > std::max(call.left_at, last_->begun) + kSlack)
      add(Invariant::kGivenBack, "its client left, and the connection to its upstream was held for {} s more",
          seconds(last_->left_at - call.left_at));
  }

  /// Servings stand in the order in which they reached upstreams: a try that was given up for its time may
  /// get there after the one that took its place, if its way was harmed. Then the one that was passed on
  /// counts.
  const Serving* last_try(const Call& call, std::string_view passed) const {
    if (call.servings.empty()) return nullptr;
    const Serving* last = call.servings.back();
    if (!run_.document.retry_timeout) return last;
    for (size_t i = call.servings.size(); i-- > 0;) {
      if (std::to_string(call.servings[i]->number) == passed) return call.servings[i];
      if (!call.servings[i]->harmed) break;
    }
    return last;
  }

  /// How often it was tried.
  void check_tries() {
    size_t tries = call_->servings.size();
    if (tries > run_.document.attempts + 1)
      add(Invariant::kAtMostOnce, "{} tries, {} are allowed", tries, run_.document.attempts);
    // Nothing that was answered is tried again, but for a status that says so.
    for (size_t i = 0; i + 1 < tries; ++i) {
      const Serving& serving = *call_->servings[i];
      bool by_status = serving.status == 503 && run_.document.retry_503 && serving.upstream == "main";
      const Serving& next = *call_->servings[i + 1];
      // Its time was over when the clock jumped, and its answer came all the same.
      bool jumped = run_.world.fault_log().world_harmed(call_->begun, next.begun);
      bool overtaken = run_.document.retry_timeout && (next.harmed || jumped);
      if (serving.answered && !by_status && !serving.harmed && !serving.confused && !overtaken)
        add(Invariant::kAtMostOnce, "it was answered at {} and sent again", serving.target);
      if (!run_.calm || !run_.ledger.losses.empty() || serving.reused) continue;
      bool broken = serving.deed == UpstreamDeed::kReset || serving.deed == UpstreamDeed::kEnd;
      if (broken && !run_.document.retry_reset)
        add(Invariant::kAtMostOnce, "it was reset at {} and sent again", serving.target);
      if (serving.upstream == "main" && serving.target == next.target)
        add(Invariant::kUndisturbed, "it failed at {} and was sent there again", serving.target);
    }
  }

  /// An answer that ends its connection must have a reason: closing is no way out.
  void check_closing() {
    const Call& call = *call_;
    bool closes = call.head.fields.value("connection") == "close";
    Instant drained = run_.gateway.drained_at();
    if (!closes) {
      if (drained != kNever && last_ && last_->begun > drained + kSlack && last_->begun < call.answered)
        add(Invariant::kUndisturbed, "the gateway drains and does not say so");
      if (call.asks_close) add(Invariant::kOneAnswer, "it asked for an end and got none");
      return;
    }
    bool reason = call.asks_close || call.broken_frame || call.answer_until_close ||
                  (call.has_body && (!last_ || last_->early || !last_->whole_request)) ||
                  (call.has_body && call.expected[0].status != 0) ||
                  call.answered >= run_.gateway.drain_began() || call.expects_continue || !call.written ||
                  call.head.status() == 504;  // its time was over
    if (!reason && excuse_.empty())
      add(Invariant::kUndisturbed, "its connection was closed without a reason (status {})",
          call.head.status());
  }

  uint64_t revision_of_answer() {
    auto revision = ascii::parse_decimal(call_->head.fields.value("x-config"));
    if (!revision) return 0;
    check_active(*revision, &RevisionTimes::revision);
    return *revision;
  }

  /// A configuration, by its revision or generation, was there before the answer, and not replaced before the
  /// request.
  void check_active(uint64_t number, uint64_t RevisionTimes::* which) {
    bool begun = false;
    bool replaced = false;
    for (const RevisionTimes& times : run_.gateway.revisions()) {
      begun |= times.*which == number && times.first <= call_->ended;
      replaced |= times.*which == number + 1 && times.all + kSlack < call_->begun;
    }
    if (!begun || replaced)
      add(Invariant::kUndisturbed, "it was handled by configuration {}, which {}", number,
          replaced ? "had been replaced" : "was not there yet");
  }

  void check_limit_fields() {
    if (!call_->decision) return;
    std::string wrong = wrong_limit_fields(*call_);
    if (!wrong.empty()) add(Invariant::kRateLimit, "{}", wrong);
  }

  /// The upstream's answer.
  void check_passed(std::string_view number) {
    const Call& call = *call_;
    const Serving* serving = find_serving(number);
    if (!serving) return;
    bool cut = (serving->rule.framing == Framing::kUntilClose && serving->harmed) ||
               (call.answer_until_close && call.harmed);
    if (serving != last_) return add(Invariant::kOneAnswer, "it got the answer of an earlier try");
    if (serving->deed != UpstreamDeed::kAnswer)
      return add(Invariant::kOneAnswer, "an answer that its upstream did not end passed for whole");
    if (call.head.status() != serving->status)
      add(Invariant::kUndisturbed, "status {} became {}", serving->status, call.head.status());
    std::string_view body = call.method == "HEAD" ? std::string_view() : serving->body;
    if (!cut && call.answer.size() < body.size())
      add(Invariant::kOneAnswer, "{} of {} bytes passed for the whole answer", call.answer.size(),
          body.size());
    check_own_bytes(*serving);
    if (call.expected_of(serving->revision).status != 0)
      add(Invariant::kUndisturbed, "it was let through instead of refused");
    revision_of_answer();
    if (ascii::parse_decimal(call.head.fields.value("x-config")) != serving->revision)
      add(Invariant::kUndisturbed, "request and answer went through different revisions");
    if (!call.limit.empty() && (!call.decision || !call.decision->allowed))
      add(Invariant::kRateLimit, "it was answered past its limit");
    if (call.unknown_key_may_change && !key_held(0))
      add(Invariant::kUndisturbed, "its key had been taken away");
    check_limit_fields();
    check_passed_fields(*serving);
    check_retry_of_status(*serving);
    int interim = serving->interim + (call.continued ? 1 : 0);
    if (excuse_.empty() && call.servings.size() == 1 && call.interim != (call.http10 ? 0 : interim))
      add(Invariant::kUndisturbed, "{} interim answers instead of {}", call.interim, interim);
  }

  const Serving* find_serving(std::string_view number) {
    auto index = ascii::parse_decimal(number);
    if (!index || *index >= run_.ledger.servings.size()) {
      add(Invariant::kIdentity, "its answer says that it is serving \"{}\"", number);
      return nullptr;
    }
    const Serving& serving = run_.ledger.servings[*index];
    if (serving.call == call_) return &serving;
    add(Invariant::kIdentity, "it got the answer of exchange {}", serving.call->number);
    return nullptr;
  }

  void check_own_bytes(const Serving& serving) {
    const std::string& answer = call_->answer;
    if (call_->method == "HEAD") return;
    auto differs = std::ranges::mismatch(answer, serving.body);
    if (differs.in1 != answer.end())
      add(Invariant::kIdentity, "byte {} of its answer is not its own", differs.in1 - answer.begin());
  }

  void check_passed_fields(const Serving& serving) {
    const Call& call = *call_;
    const Expected& expected = call.expected_of(serving.revision);
    Fields got = call.head.fields;
    Fields wanted = serving.fields;
    for (const std::string& name : expected.removed) wanted.remove(name);
    for (const Field& field : expected.edits.all) wanted.set(field.name, field.value);
    wanted.add("via", serving.http10 ? "1.0 sluice" : "1.1 sluice");
    wanted.add("x-request-id", serving.request_id);
    wanted.add("x-config", std::to_string(serving.revision));
    if (!wanted.count("date") && got.count("date") == 1) {
      check_date();
      got.remove("date");
    }
    bool no_body = call.method == "HEAD" || serving.rule.framing == Framing::kNone;
    std::string length(got.value("content-length"));
    if (std::string_view(call.head.start).substr(13) != "Some Reason")
      add(Invariant::kUndisturbed, "its status line became \"{}\"", call.head.start);
    bool known = serving.rule.framing == Framing::kLength;
    if (known && length != std::to_string(serving.body.size()))
      add(Invariant::kUndisturbed, "its answer's length became \"{}\"", length);
    if (!known && !length.empty() && serving.rule.framing != Framing::kNone)
      add(Invariant::kUndisturbed, "its answer got a length that its upstream did not say");
    bool trailers = !no_body && !call.http10;
    if (trailers && call.answer_trailers.text() != serving.trailers.text())
      add(Invariant::kUndisturbed, "the trailers of its answer became \"{}\"", call.answer_trailers.text());
    for (std::string_view name :
         {"content-length", "transfer-encoding", "connection", "ratelimit", "ratelimit-policy"})
      got.remove(name);
    if (got.text() != wanted.text())
      add(Invariant::kUndisturbed, "its answer has the fields\n{}instead of\n{}", got.text(), wanted.text());
  }

  void check_retry_of_status(const Serving& serving) {
    bool again = serving.status == 503 && run_.document.retry_503 && serving.upstream == "main" &&
                 call_->idempotent() && !call_->has_body && call_->servings.size() < run_.document.attempts;
    if (again && excuse_.empty() && !upstream_lost(run_, *call_))
      add(Invariant::kUndisturbed, "503 was not tried again after {} tries", call_->servings.size());
  }

  /// An answer that the gateway made.
  void check_own() {
    const Call& call = *call_;
    // An upstream's noise came just as its connection was taken, before the request had left.
    if (!last_ && !run_.calm && call.head.fields.count("x-poison")) return;
    int status = call.head.status();
    std::string code = problem_code(call);
    uint64_t revision = revision_of_answer();
    const Expected& expected = expected_of(revision, status, code);
    bool as_expected = matches(expected, status, code);
    auto after = ascii::parse_decimal(call.head.fields.value("retry-after"));
    if ((status == 429 || status == 503) && (!after || *after < 1))
      add(Invariant::kUndisturbed, "a {} without Retry-After", status);
    bool limited = status == 429 && (code == "rate_limited" || call.method == "HEAD");
    if (!limited && as_expected) return check_expected(expected, revision);
    if (limited) return check_limited();
    std::string wrong = wrong_made_fields(call, &expected.edits);
    bool ours = !last_ || !last_->confused;  // else it may be the noise on its connection
    if (ours && !wrong.empty()) add(Invariant::kUndisturbed, "{}", wrong);
    std::string why = explain(status, code);
    if (why.empty()) return;
    bool possible = status == 408 || status == 502 || status == 503 || status == 504;
    if (excuse_.empty() || !possible)
      add(Invariant::kUndisturbed, "the gateway answered {} {}: {}", status, code, why);
  }

  /// Credentials change apart from the routes: any that held during the call may have decided.
  const Expected& expected_of(uint64_t revision, int status, const std::string& code) const {
    const auto& both = call_->expected;
    if (!call_->unknown_key_may_change) return both[revision % 2];
    bool as_odd = !key_held(0) || (key_held(1) && matches(both[1], status, code));
    return both[as_odd ? 1 : 0];
  }

  /// Whether the credentials of an even (or odd) revision held at some time during the call.
  bool key_held(uint64_t parity) const {
    const auto& revisions = run_.gateway.revisions();
    for (size_t i = 0; i < revisions.size(); ++i) {
      bool gone = i + 1 < revisions.size() && revisions[i + 1].applied < call_->begun;
      if (revisions[i].revision % 2 == parity && !gone && revisions[i].applied <= call_->ended) return true;
    }
    return false;
  }

  bool matches(const Expected& expected, int status, const std::string& code) const {
    bool told = call_->method != "HEAD";  // its code
    return expected.status == status &&
           (!told || expected.code == code || (expected.code == "?" && !code.empty()));
  }

  void check_expected(const Expected& expected, uint64_t revision) {
    const Call& call = *call_;
    if (!call.limit.empty() && call.decision && !call.decision->allowed)
      add(Invariant::kRateLimit, "it was answered past its limit");
    if (call.decision) check_limit_fields();
    if (call.limit == "tenant" && !call.decision) add(Invariant::kRateLimit, "it passed no limit");
    if (expected.code.empty() && call.method != "HEAD") {
      std::string body = expected.body;
      size_t at = body.find("{revision}");
      if (at != std::string::npos) body.replace(at, 10, std::to_string(revision));
      at = body.find("{generation}");
      auto generation =
          at == std::string::npos
              ? std::nullopt
              : ascii::parse_decimal(std::string_view(call.answer).substr(std::min(at, call.answer.size())));
      if (generation) {
        body.replace(at, 12, std::to_string(*generation));
        check_active(*generation, &RevisionTimes::generation);
      }
      if (call.answer != body)
        add(Invariant::kIdentity, "its answer is \"{}\" instead of \"{}\"", call.answer, body);
    }
    for (const Field& field : expected.fields.all)
      if (call.head.fields.value(field.name) != field.value)
        add(Invariant::kUndisturbed, "its answer says \"{}: {}\" instead of \"{}\"", field.name,
            call.head.fields.value(field.name), field.value);
    check_made_fields(expected.outside_chain, &expected.fields);
  }

  /// What every answer of the gateway's own has.
  void check_made_fields(bool outside_chain, const Fields* own) {
    const Fields& fields = call_->head.fields;
    bool marked = fields.count("x-config") == 1 && fields.count("x-request-id") == 1;
    bool clean = !fields.count("x-config") && !fields.count("x-request-id");
    if (outside_chain ? !clean : !marked)
      add(Invariant::kUndisturbed, "its answer went {} the policies", outside_chain ? "through" : "around");
    check_date();
    std::string wrong = wrong_made_fields(*call_, own);
    if (!wrong.empty()) add(Invariant::kUndisturbed, "{}", wrong);
  }

  void check_limited() {
    if (!call_->decision || call_->decision->allowed)
      add(Invariant::kRateLimit, "it was limited, and the limit allows it");
    else
      check_limit_fields();
    if (last_) add(Invariant::kRateLimit, "it was limited and reached an upstream");
    if (call_->head.fields.count("x-behind-limit"))
      add(Invariant::kUndisturbed, "it was limited, and a policy behind the limit saw its answer");
    check_made_fields(false, nullptr);
  }

  /// The time at which the gateway began to answer.
  void check_date() {
    if (!run_.calm) return;
    auto offset = run_.world.wall_now() - WallTime(run_.world.now().time_since_epoch());
    std::string_view date = call_->head.fields.value("date");
    for (Instant at = call_->begun; at < call_->answered + std::chrono::seconds(1);
         at += std::chrono::seconds(1))
      if (date == date_text(WallTime(std::min(at, call_->answered).time_since_epoch()) + offset)) return;
    add(Invariant::kUndisturbed, "its Date is \"{}\"", date);
  }

  /// Why such an answer cannot be; empty: it can.
  std::string explain(int status, const std::string& code) {
    const Call& call = *call_;
    bool is_head = call.method == "HEAD";  // and its code not told
    if (call.total && status == 504 && (code == "timeout" || code == "upstream_timeout" || is_head))
      return call.answered - call.begun + kSlack < *call.total ? "too early" : "";
    // A kept connection that was just closed is forgiven only to what may be sent twice.
    bool lost = status == 502 && upstream_lost(run_, *call_) && (!call.idempotent() || call.has_body);
    if (lost) return {};
    if (!last_) return "no upstream was asked";
    const auto& document = run_.document;
    bool may_retry = call.idempotent() && !call.has_body && call.servings.size() < document.attempts;
    switch (last_->deed) {
      case UpstreamDeed::kReset:
      case UpstreamDeed::kEnd:
      case UpstreamDeed::kHalfHead:
        if (status != 502) return "its upstream broke the connection";
        return may_retry && document.retry_reset && excuse_.empty() ? "it was not tried again" : "";
      case UpstreamDeed::kGarbage:
      case UpstreamDeed::kContradiction:
      case UpstreamDeed::kHugeHead:
        return status == 502 && (is_head || code == "upstream_protocol") ? ""
                                                                         : "its upstream broke the protocol";
      case UpstreamDeed::kTooManyInterim:
        return (is_head || code == "too_many_interim_responses") ? ""
                                                                 : "its upstream sent interim answers only";
      case UpstreamDeed::kUpgrade:
        return (is_head || code == "unexpected_upgrade") ? "" : "its upstream changed the protocol";
      case UpstreamDeed::kSilence:
        return status == 504 ? "" : "its upstream was silent";
      case UpstreamDeed::kResetInBody:  // the reset may overtake the head
        return status == 502 ? "" : "its upstream broke the connection";
      case UpstreamDeed::kSwallowsNothing:
        return status == 504 ? "" : "its upstream did not read";
      default:
        return "its upstream answered";
    }
  }

  void check_closed(std::string_view number) {
    const Call& call = *call_;
    if (!number.empty()) {
      const Serving* serving = find_serving(number);
      if (serving) check_own_bytes(*serving);
    }
    if (!excuse_.empty()) return;
    if (last_ && in_body(last_->deed)) return;
    bool in_total = call.total && call.answer_begun && call.ended - call.begun + kSlack >= *call.total;
    if (in_total) return;
    add(Invariant::kUndisturbed, "its connection was {} {}", call.reset ? "reset" : "closed",
        call.answer_begun ? "in the middle of its answer" : "instead of an answer");
  }

  /// What takes a known time takes that time, where nothing disturbs it.
  void check_times() {
    const Call& call = *call_;
    if (!run_.calm || !excuse_.empty() || !call.written || call.reads_slowly ||
        call.outcome != Outcome::kAnswered)
      return;
    if (call.continued && call.servings.size() == 1 && !last_->said_continue && !call.total &&
        call.kind != "pick") {
      Duration waited = call.continued_at - last_->begun;
      if (waited + kSlack < std::chrono::seconds(1) || waited > std::chrono::seconds(1) + kSlack)
        add(Invariant::kNoEndlessWait, "100 was said after {} s", seconds(waited));
    }
    Duration took = call.answered - std::max(call.begun, last_ ? last_->begun : call.begun);
    if (call.head.status() == 504 && call.kind == "hole") {
      Duration all = run_.document.connect * run_.document.attempts;
      if (took + kSlack < all || call.answered - std::max(call.sent, call.turn) > all + kSlack)
        add(Invariant::kNoEndlessWait, "connecting in vain took {} s", seconds(took));
    }
    if (last_ && last_->deed == UpstreamDeed::kSilence && call.head.status() == 504 && !call.total) {
      bool early = took + kSlack < run_.document.response_head;
      bool late =
          call.answered - std::max(call.sent, last_->begun) > run_.document.response_head + 2 * kSlack;
      if (early || late) add(Invariant::kNoEndlessWait, "silence was borne for {} s", seconds(took));
    }
    if (call.total && call.answered - call.turn > *call.total + kSlack)
      add(Invariant::kNoEndlessWait, "it took {} s, and {} are allowed", seconds(call.answered - call.turn),
          seconds(*call.total));
  }

  const RunView& run_;
  Violations& violations_;
  const Call* call_ = nullptr;
  const Serving* last_ = nullptr;
  std::string_view excuse_;
};

}  // namespace

void check_answers(const RunView& run, Violations& violations) {
  Checker checker(run, violations);
  for (const Call& call : run.ledger.calls) checker.check(call);
}

}  // namespace sluice::sim
