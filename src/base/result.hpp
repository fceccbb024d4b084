// Result<T>: what a function returns when a peer, a file or the operating system may make it fail.
// Expected absence is std::optional; our own bugs are ASSERT (base/assert.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/assert.hpp"

namespace espalier {

// The kinds of failure. The name of a code (see name()) is also its log id and its metric label.
enum class ErrorCode : std::uint16_t {
  kInternal,
  kTruncated,       // fewer bytes than the format needs
  kMalformed,       // bytes that the format does not allow
  kLimit,           // larger than one of our stated limits
  kUnsupported,     // understood, and not supported by this version
  kAuthentication,  // an ICV, a signature or a key did not verify
  kReplay,          // a sequence number seen before or behind the window
  kNotFound,
  kAlreadyExists,
  kInvalidArgument,  // wrong usage by a caller outside (a command line, a VICI request)
  kBadInput,         // a wrong input file: the message carries file:line:column
  kPermission,
  kBusy,    // held by somebody else: a port, a device, a lock
  kSystem,  // an operating-system call failed; the message carries errno's text
  kTimeout,
  kNoProposalChosen,  // RFC 7296 section 3.10.1 notifies, when they end an exchange
  kInvalidSyntax,
  kInvalidKe,
  kTsUnacceptable,
  kPeerRefused,
};

std::string_view name(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // a whole sentence for a person, without secrets
  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  bool ok() const { return state_.index() == 0; }
  T& value() & {
    ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    ASSERT(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  const Error& error() const& {
    ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    ASSERT(!ok());
    return std::move(*std::get_if<1>(&state_));
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}
  explicit operator bool() const { return !failed_; }
  bool ok() const { return !failed_; }
  const Error& error() const& {
    ASSERT(failed_);
    return error_;
  }
  Error&& error() && {
    ASSERT(failed_);
    return std::move(error_);
  }

 private:
  bool failed_ = false;
  Error error_;
};

using Status = Result<void>;

inline Error make_error(ErrorCode code, std::string message) { return {code, std::move(message)}; }

}  // namespace espalier

#define ESPALIER_JOIN2(a, b) a##b
#define ESPALIER_JOIN(a, b) ESPALIER_JOIN2(a, b)

// TRY(status_expression); returns the error to the caller.
#define TRY(expression)                                                      \
  do {                                                                       \
    auto espalier_try_result = (expression);                                 \
    if (!espalier_try_result) return std::move(espalier_try_result).error(); \
  } while (false)

// TRY_ASSIGN(auto x, result_expression); declares x, or returns the error to the caller.
#define TRY_ASSIGN(declaration, expression)                           \
  auto ESPALIER_JOIN(espalier_try_, __LINE__) = (expression);         \
  if (!ESPALIER_JOIN(espalier_try_, __LINE__))                        \
    return std::move(ESPALIER_JOIN(espalier_try_, __LINE__)).error(); \
  declaration = std::move(ESPALIER_JOIN(espalier_try_, __LINE__)).value()
