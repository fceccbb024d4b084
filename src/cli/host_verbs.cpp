// The verbs that change this host without the daemon.
#include <fmt/format.h>

#include "cli/text.hpp"
#include "cli/verb.hpp"

namespace espalier::cli {
namespace {

constexpr std::size_t kPidFileMax = 64;

class PrintingLogger : public Logger {
 public:
  explicit PrintingLogger(Environment& env) : env_(env) {}
  void log(const LogLine& line) override {
    if (line.level > LogLevel::kInfo) return;
    const std::string text = printable(line.text) + "\n";
    if (line.level == LogLevel::kInfo) {
      env_.out(text);
    } else {
      env_.err("espalier: " + text);
    }
  }

 private:
  Environment& env_;
};

// "systemctl stop espalierd, or kill 1234"
std::string how_to_stop(Call& call) {
  auto pid = call.env.read_file(call.run + "/espalierd.pid", kPidFileMax);
  std::string text = "`systemctl stop espalierd`";
  if (!pid) return text;
  std::string digits = *pid;
  while (!digits.empty() && (digits.back() == '\n' || digits.back() == ' ')) digits.pop_back();
  const bool number =
      !digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos;
  return number ? fmt::format("{} or `kill {}`", text, digits) : text;
}

}  // namespace

int run_teardown(Call& call) {
  if (!call.has("--force")) {
    const auto connection = call.env.connect(call.socket());
    if (connection) {
      call.env.err(fmt::format(
          "espalier: A daemon answers at {}, and what it needs would be taken away under it. Stop "
          "it first with {}, or give --force.\n",
          call.socket(), how_to_stop(call)));
      return kFailed;
    }
    // A socket that we may not open may well have a daemon behind it.
    if (connection.error().code == ErrorCode::kPermission) {
      call.env.err(
          fmt::format("espalier: No permission for {}: run teardown as root.\n", call.socket()));
      return kFailed;
    }
  }
  PrintingLogger logger(call.env);
  if (const Status done = call.env.teardown(logger, call.run); !done)
    return fail(call.env, done.error());
  call.env.out("Nothing of Espalier is left on this host; traffic flows unprotected.\n");
  return kDone;
}

}  // namespace espalier::cli
