// How other devices write SPIs and manual keys. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/secret.hpp"
#include "base/strong.hpp"
#include "policy/manual.hpp"

namespace espalier::cli {

struct ManualVendor {
  std::string_view name;   // "sonicwall"
  std::string_view title;  // "SonicWALL"
  bool hex_spi;            // 100 means 0x100
  bool printable_keys;     // characters, not hex
  bool prefix;             // hex keys start with 0x
  bool one_spi;            // one for both directions
  bool one_key;            // likewise
};
std::span<const ManualVendor> manual_vendors();
// Errors: kInvalidArgument, with the names there are.
Result<ManualVendor> manual_vendor(std::string_view name);

std::string vendor_spi(const ManualVendor& vendor, Spi spi);
// Errors: kBadInput, as policy::parse_manual_spi().
Result<Spi> read_vendor_spi(const ManualVendor& vendor, std::string_view text);

// A secret: to be wiped. Errors: kInvalidArgument when the device takes characters and the key has
// octets that are none ("you cannot convert from hexadecimal to ASCII").
Result<std::string> vendor_key(const ManualVendor& vendor, const SecretBytes& key);
// Errors: kBadInput, without any of the text.
Result<SecretBytes> read_vendor_key(const ManualVendor& vendor, std::string_view text);

// What the device cannot have: two SPIs, two keys. kInvalidArgument, with what to do.
Status fits_vendor(const ManualVendor& vendor, const policy::ManualKeys& keys);

}  // namespace espalier::cli
