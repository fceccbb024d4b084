// Faults in an input file: where, and what was expected.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace espalier::config {

// Line and column count from 1, the column in octets; 0 when a fault has no place.
struct Position {
  unsigned line = 0;
  unsigned column = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};
std::string to_string(const Position& at);  // "7:12"

struct Diagnostic {
  std::string file;
  unsigned line = 0;
  unsigned column = 0;
  ErrorCode code = ErrorCode::kBadInput;  // kUnsupported: right, and not supported yet; kLimit
  std::string message;
  friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};
std::string to_string(const Diagnostic& diagnostic);  // "mesh.yaml:7:12: unknown key ..."

// What whoever asked can honour beyond what every version can. The daemon with the userspace plane:
// nothing of it; with the kernel's: kKernelPlane. A simulation: all of it, because it is about
// keying.
struct Features {
  bool transport_mode = false;
  bool trap = false;
  bool bare_esp = false;       // ESP without UDP, where no IKE finds out whether it passes
  bool kernel_suites = false;  // policy::needs_kernel()
  bool outer_header = false;   // another policy::OuterHeader than the usual one
  bool route_based = false;    // policy::Binding
};
inline constexpr Features kKernelPlane{.transport_mode = true,
                                       .trap = true,
                                       .bare_esp = true,
                                       .kernel_suites = true,
                                       .outer_header = true,
                                       .route_based = true};
// What is refused without it, and accepted with it, says so by this.
inline constexpr std::string_view kNeedsKernelPlane =
    "the kernel dataplane has it: run espalierd with --dataplane kernel";

// Collects the faults of one file, up to kMaxDiagnostics.
class Diagnostics {
 public:
  explicit Diagnostics(std::string file, Features accepts = {})
      : file_(std::move(file)), accepts_(accepts) {}
  const Features& accepts() const { return accepts_; }
  void bad(Position at, std::string message) { add(at, ErrorCode::kBadInput, std::move(message)); }
  // "<what> is not supported yet", with what to write instead where there is something.
  void unsupported(Position at, std::string_view what, std::string_view instead = {});
  void add(Position at, ErrorCode code, std::string message);
  bool empty() const { return list_.empty(); }
  std::size_t size() const { return list_.size(); }
  std::vector<Diagnostic> take_sorted();  // by place, then by message, each once

 private:
  std::string file_;
  Features accepts_;
  std::vector<Diagnostic> list_;
};

// One Error of code kBadInput for a caller that wants just one: every fault on a line of its own.
Error to_error(const std::vector<Diagnostic>& diagnostics);

}  // namespace espalier::config
