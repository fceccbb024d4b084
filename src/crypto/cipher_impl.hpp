// The two kinds of Cipher behind aead.hpp, one .cpp file each. Private to the room. Key lengths
// have been checked against `lengths`.
#pragma once

#include "crypto/aead.hpp"

namespace espalier::crypto {

Result<std::unique_ptr<Cipher>> make_aead(EncrId encr, const SuiteSizes& lengths,
                                          ByteView encr_key);
Result<std::unique_ptr<Cipher>> make_cbc_hmac(IntegId integ, const SuiteSizes& lengths,
                                              ByteView encr_key, ByteView integ_key);

}  // namespace espalier::crypto
