#include "cli/manual_vendor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/text.hpp"

namespace espalier::cli {
namespace {

constexpr std::array kVendors{
    ManualVendor{"espalier", "Espalier", false, false, true, false, false},
    ManualVendor{"halon-sr", "Halon SR", false, false, true, false, false},
    ManualVendor{"halon-sx", "Halon SX", true, false, false, false, false},
    ManualVendor{"sonicwall", "SonicWALL", true, false, false, false, true},
    ManualVendor{"juniper", "Juniper", true, false, false, false, true},
    ManualVendor{"zyxel", "ZyXEL ZyWALL", false, true, false, true, true},
};

}  // namespace

std::span<const ManualVendor> manual_vendors() { return kVendors; }

Result<ManualVendor> manual_vendor(std::string_view name) {
  std::string known;
  for (const ManualVendor& vendor : kVendors) {
    if (vendor.name == name) return vendor;
    known += (known.empty() ? "" : ", ") + std::string(vendor.name);
  }
  return make_error(
      ErrorCode::kInvalidArgument,
      fmt::format("There is no device '{}'; there are: {}.", printable(name.substr(0, 40)), known));
}

std::string vendor_spi(const ManualVendor& vendor, Spi spi) {
  return vendor.hex_spi ? fmt::format("{:x}", spi.value) : std::to_string(spi.value);
}

Result<Spi> read_vendor_spi(const ManualVendor& vendor, std::string_view text) {
  const bool marked = text.substr(0, 2) == "0x" || text.substr(0, 2) == "0X";
  if (!vendor.hex_spi || marked) return policy::parse_manual_spi(text);
  return policy::parse_manual_spi("0x" + std::string(text));
}

Result<std::string> vendor_key(const ManualVendor& vendor, const SecretBytes& key) {
  const ByteView view = key.reveal();
  if (!vendor.printable_keys) return (vendor.prefix ? "0x" : "") + to_hex(view);
  const bool text =
      std::all_of(view.begin(), view.end(), [](std::uint8_t c) { return c > 0x20 && c < 0x7f; });
  if (!text) {
    return make_error(
        ErrorCode::kInvalidArgument,
        fmt::format("A {} takes keys of printable characters, and not every octet is one: these "
                    "keys cannot be converted. Make others with 'espalier manual new --printable'.",
                    vendor.title));
  }
  return std::string(reinterpret_cast<const char*>(view.data()), view.size());
}

Result<SecretBytes> read_vendor_key(const ManualVendor& vendor, std::string_view text) {
  if (vendor.printable_keys) return SecretBytes(as_bytes(text));
  if (text.substr(0, 2) == "0x" || text.substr(0, 2) == "0X") text.remove_prefix(2);
  auto octets = from_hex(text);
  if (!octets || octets->empty()) {
    return make_error(ErrorCode::kBadInput,
                      fmt::format("is not hex, which a {} takes", vendor.title));
  }
  return SecretBytes(std::move(*octets));
}

Status fits_vendor(const ManualVendor& vendor, const policy::ManualKeys& keys) {
  if (vendor.one_spi && keys.spi_in != keys.spi_out) {
    return make_error(
        ErrorCode::kInvalidArgument,
        fmt::format("A {} has one SPI for both directions, and these are {} and {}: "
                    "write one number as 'spi'.",
                    vendor.title, policy::spi_words(keys.spi_in), policy::spi_words(keys.spi_out)));
  }
  if (vendor.one_key && (keys.encr_in != keys.encr_out || keys.integ_in != keys.integ_out)) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("A {} has the same keys in both directions, and these differ: "
                                  "make others with 'espalier manual new --one'.",
                                  vendor.title));
  }
  return {};
}

}  // namespace espalier::cli
