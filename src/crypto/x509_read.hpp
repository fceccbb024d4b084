// Small readings of the crypto library's X.509 objects. Private to the room.
#pragma once

#include <openssl/asn1.h>
#include <openssl/x509.h>

#include <chrono>
#include <ctime>
#include <optional>

#include "base/bytes.hpp"

namespace espalier::crypto {

// Whatever i2d_X509, i2d_X509_NAME and so on encode.
template <class T>
Bytes der_of(int (*encode)(const T*, unsigned char**), const T* object) {
  const int size = encode(object, nullptr);
  if (size <= 0) return {};
  Bytes out(static_cast<std::size_t>(size));
  unsigned char* at = out.data();
  if (encode(object, &at) != size) return {};
  return out;
}

// Seconds since 1970; nothing for a time that RFC 5280 section 4.1.2.5 does not allow.
inline std::optional<std::int64_t> seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  const std::chrono::sys_days day{std::chrono::year{parts.tm_year + 1900} /
                                  std::chrono::month{static_cast<unsigned>(parts.tm_mon + 1)} /
                                  std::chrono::day{static_cast<unsigned>(parts.tm_mday)}};
  return std::int64_t{day.time_since_epoch().count()} * 86400 + parts.tm_hour * 3600 +
         parts.tm_min * 60 + parts.tm_sec;
}

// SHA-256 of a certificate's SubjectPublicKeyInfo: CertificateId::issuer_key.
Bytes key_digest(const X509* certificate);
// The octets of a serial number, with a sign octet for a negative one.
Bytes serial_of(const ASN1_INTEGER* number);

}  // namespace espalier::crypto
