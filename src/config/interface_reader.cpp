#include "config/interface_reader.hpp"

#include <algorithm>

#include "config/limits.hpp"
#include "config/scalars.hpp"
#include "config/schema.hpp"
#include "config/settings_reader.hpp"
#include "config/words.hpp"

namespace espalier::config {
namespace {

std::string quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

// The kernel takes more; what a shell, a sysctl's path or a log line would stumble over we do not.
std::string device_name(const YamlNode& node, std::string_view key, Diagnostics& diagnostics) {
  const std::string& text = node.text;
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
  });
  if (!plain || text.empty() || text.size() > kMaxDeviceName || text == "." || text == ".." ||
      text[0] == '-') {
    diagnostics.bad(node.at, quoted(key) + " is " + describe(node) +
                                 "; a device's name has 1 to 15 letters, digits, '.', '-' and '_'");
    return "";
  }
  return text;
}

void read_type(const YamlEntry& entry, policy::TunnelDevice& device, Diagnostics& diagnostics) {
  const YamlNode* node = scalar_of(entry, diagnostics);
  if (node == nullptr) return;
  device.vti = node->text == "vti";
  if (device.vti || node->text == "xfrm") return;
  diagnostics.bad(node->at, "'type' is " + describe(*node) + ", which is no value of it" +
                                suggestion(node->text, {"xfrm", "vti"}));
}

// RFC 8200 section 5: IPv6 needs 1280.
void read_mtu(const YamlEntry& entry, policy::TunnelDevice& device, Diagnostics& diagnostics) {
  const YamlNode* node = scalar_of(entry, diagnostics);
  if (node == nullptr) return;
  const auto value = parse_number(node->text);
  if (!value || *value < 1280 || *value > 65000) {
    diagnostics.bad(node->at, "'mtu' is " + describe(*node) + "; it can be 1280 to 65000 octets");
    return;
  }
  device.mtu = static_cast<std::uint16_t>(*value);
}

}  // namespace

Maybe<std::optional<policy::TunnelDevice>> read_interface(const YamlEntry& entry,
                                                          Diagnostics& diagnostics) {
  using Setting = std::optional<policy::TunnelDevice>;
  const bool scalar = entry.value.is_scalar();
  if (scalar && entry.value.text == "none") return Given<Setting>{std::nullopt, entry.value.at};
  if (!diagnostics.accepts().route_based) {
    diagnostics.unsupported(entry.value.at, quoted(entry.key), kNeedsKernelPlane);
    return std::nullopt;
  }
  policy::TunnelDevice device;
  if (scalar) {
    device.name = device_name(entry.value, entry.key, diagnostics);
    return Given<Setting>{std::move(device), entry.value.at};
  }
  if (!entry.value.is_map()) {
    diagnostics.bad(entry.value.at,
                    quoted(entry.key) + " is " + describe(entry.value) +
                        "; it is a device's name, or a map with name, type, device, mtu");
    return std::nullopt;
  }
  check_keys(entry.value, {Scope::kInterface}, diagnostics);
  const YamlEntry* name = entry.value.find("name");
  if (name == nullptr) {
    diagnostics.bad(entry.value.at, quoted(entry.key) + " has no 'name': write the device's");
  } else if (const YamlNode* node = scalar_of(*name, diagnostics)) {
    device.name = device_name(*node, "name", diagnostics);
  }
  if (const YamlEntry* part = entry.value.find("type")) read_type(*part, device, diagnostics);
  if (const YamlEntry* part = entry.value.find("device")) {
    if (const YamlNode* node = scalar_of(*part, diagnostics)) {
      device.underlying = device_name(*node, "device", diagnostics);
    }
  }
  if (const YamlEntry* part = entry.value.find("mtu")) read_mtu(*part, device, diagnostics);
  return Given<Setting>{std::move(device), entry.value.at};
}

}  // namespace espalier::config
