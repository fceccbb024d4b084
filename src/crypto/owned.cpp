#include "crypto/owned.hpp"

#include <openssl/err.h>

namespace espalier::crypto {

ErrorQueueGuard::~ErrorQueueGuard() { ERR_clear_error(); }

}  // namespace espalier::crypto
