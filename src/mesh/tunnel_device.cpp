#include "mesh/tunnel_device.hpp"

#include <algorithm>
#include <map>

namespace espalier::mesh {
namespace {

using policy::Connection;

Error cannot(const Connection& connection, const std::string& why,
             ErrorCode code = ErrorCode::kBadInput) {
  return make_error(code,
                    connection.name + " has 'interface: " + connection.device->name + "' " + why);
}

Status check_numbers(const Connection& connection, const policy::Binding& binding) {
  if (connection.device->vti) {
    const bool whole = binding.mark_in && binding.mark_out &&
                       *binding.mark_in == *binding.mark_out &&
                       binding.mark_in->mask == 0xFFFFFFFF && binding.mark_in->value != 0;
    if (!whole || binding.if_id_in != 0 || binding.if_id_out != 0) {
      return cannot(connection,
                    "of type vti, which needs a key: write mark: NUMBER, one for each such pair of "
                    "a host, without a mask, and no if_id");
    }
    return {};
  }
  if (binding.if_id_in == 0 || binding.if_id_in != binding.if_id_out) {
    return cannot(connection,
                  "without its number: write if_id: NUMBER, the same in both directions");
  }
  return {};
}

// A VTI device is between two addresses. What comes out of it is asked about by policies once more,
// without its mark, and only IPv4 has a setting that spares it that.
Status check_ends(const Connection& connection) {
  if (connection.remote_addresses.empty() || connection.local_addresses.empty()) {
    return cannot(connection, "of type vti, which has to know the peer's address");
  }
  const auto is_v6 = [](const policy::TrafficSelector& one) { return one.start.is_v6(); };
  bool v6 =
      connection.remote_addresses.front().is_v6() || connection.local_addresses.front().is_v6();
  for (const policy::ChildConfig& child : connection.children) {
    v6 = v6 || std::any_of(child.remote_ts.begin(), child.remote_ts.end(), is_v6);
  }
  if (!v6) return {};
  return cannot(connection,
                "of type vti, which is for IPv4 in IPv4 alone, and the two have IPv6 addresses or "
                "networks: write type: xfrm",
                ErrorCode::kUnsupported);
}

}  // namespace

Status lead_by_device(const config::PairSettings& settings, Connection& connection) {
  if (!settings.interface) return {};
  connection.device = *settings.interface;
  if (connection.protect == policy::Protect::kOff) return {};
  TRY(check_numbers(connection, settings.binding));
  if (settings.mode != policy::Mode::kTunnel) {
    return cannot(connection, "with 'mode: transport': write mode: tunnel",
                  ErrorCode::kUnsupported);
  }
  if (connection.protect == policy::Protect::kUse) {
    return cannot(connection,
                  "with 'protect: use': what is routed into a device is protected or dropped. "
                  "Write protect: require",
                  ErrorCode::kUnsupported);
  }
  if (settings.outer.set_mark) {
    return cannot(connection,
                  "and 'set_mark_out': the mark of its ESP packets is what keeps them out of the "
                  "device; take one of the two out",
                  ErrorCode::kUnsupported);
  }
  if (connection.device->vti) {
    if (connection.encap == policy::Encap::kAlways) {
      return cannot(connection,
                    "of type vti with 'encap: always', which it does not take: write encap: auto, "
                    "or type: xfrm",
                    ErrorCode::kUnsupported);
    }
    TRY(check_ends(connection));
    connection.mobike = false;
  }
  for (policy::ChildConfig& child : connection.children) {
    child.outer.made().set_mark = policy::Mark{policy::kOwnMark};
  }
  return {};
}

Status check_devices(const std::vector<Connection>& connections) {
  std::map<std::string, const Connection*> by_name;
  std::map<std::uint32_t, const Connection*> by_if_id;
  for (const Connection& connection : connections) {
    if (!connection.device) continue;
    const policy::TunnelDevice& device = *connection.device;
    const policy::Binding& binding = *connection.children.front().binding;
    const auto [same, is_new] = by_name.emplace(device.name, &connection);
    if (!is_new) {
      const Connection& other = *same->second;
      if (device.vti || other.device->vti) {
        return cannot(connection,
                      "of type vti, and so has " + other.name + ": each pair needs one of its own");
      }
      if (*other.device != device || *other.children.front().binding != binding) {
        return cannot(connection,
                      "and so has " + other.name + ", with another if_id, type, device or mtu");
      }
      continue;
    }
    if (device.vti) continue;
    const auto [number, fresh] = by_if_id.emplace(binding.if_id_out, &connection);
    if (!fresh) {
      return cannot(connection, "with the if_id " + std::to_string(binding.if_id_out) + " of " +
                                    number->second->device->name + " of " + number->second->name +
                                    ": one number, one device");
    }
  }
  return {};
}

}  // namespace espalier::mesh
