// Ownership of the crypto library's objects, without naming any of its types: the .cpp files of
// this room say `using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>`. Private to the room.
#pragma once

#include <memory>

namespace espalier::crypto {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

template <class T, auto Free>
using Owned = std::unique_ptr<T, FreeWith<Free>>;

// Empties the thread's error queue of the library when a function is left, so that one peer's bad
// bytes never show up as the reason of another's failure.
class ErrorQueueGuard {
 public:
  ErrorQueueGuard() = default;
  ErrorQueueGuard(const ErrorQueueGuard&) = delete;
  ErrorQueueGuard& operator=(const ErrorQueueGuard&) = delete;
  ~ErrorQueueGuard();
};

}  // namespace espalier::crypto
