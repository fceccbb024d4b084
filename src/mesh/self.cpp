// Which host of the inventory this machine is.
#include <algorithm>

#include "config/words.hpp"
#include "mesh/plan.hpp"

namespace espalier::mesh {
namespace {

using config::Host;
using config::Inventory;

std::string_view first_label(std::string_view name) { return name.substr(0, name.find('.')); }

std::string join(const std::vector<const Host*>& hosts) {
  std::string text;
  for (const Host* host : hosts) text += (text.empty() ? "'" : ", '") + host->name + "'";
  return text;
}

template <class Fits>
std::vector<const Host*> hosts_where(const Inventory& inventory, Fits fits) {
  std::vector<const Host*> found;
  for (const Host& host : inventory.hosts) {
    if (fits(host)) found.push_back(&host);
  }
  return found;
}

Error several(const std::vector<const Host*>& hosts, const std::string& why) {
  return make_error(ErrorCode::kBadInput, "this machine could be " + join(hosts) + ": " + why +
                                              "; say which with --self NAME");
}

}  // namespace

Result<std::string> named_self(const Inventory& inventory, std::string_view name) {
  if (const Host* host = inventory.find_host(name)) return host->name;
  if (inventory.find_foreign(name) != nullptr) {
    return make_error(ErrorCode::kNotFound, "'" + std::string(name) + "' is a foreign peer in " +
                                                inventory.file +
                                                ", not a host that runs espalierd");
  }
  std::vector<std::string_view> names;
  for (const Host& host : inventory.hosts) names.push_back(host.name);
  return make_error(ErrorCode::kNotFound, inventory.file + " has no host '" + std::string(name) +
                                              "'" + config::suggestion(name, names));
}

Result<std::string> find_self(const Inventory& inventory, std::string_view hostname,
                              const std::vector<IpAddress>& own_addresses) {
  const std::string wanted = config::lower(hostname);
  for (const Host& host : inventory.hosts) {
    if (config::lower(host.name) == wanted) return host.name;
  }
  // One of the two has the domain and the other not; two different domains are two hosts.
  const auto by_label = hosts_where(inventory, [&](const Host& host) {
    const std::string name = config::lower(host.name);
    const bool one_is_short =
        name.find('.') == std::string::npos || wanted.find('.') == std::string::npos;
    return one_is_short && first_label(name) == first_label(wanted);
  });
  if (by_label.size() == 1) return by_label[0]->name;
  if (by_label.size() > 1) {
    return several(by_label, "its host name is '" + std::string(hostname) + "'");
  }
  const auto by_address = hosts_where(inventory, [&](const Host& host) {
    return std::any_of(host.addresses.begin(), host.addresses.end(), [&](const IpAddress& ip) {
      return std::find(own_addresses.begin(), own_addresses.end(), ip) != own_addresses.end();
    });
  });
  if (by_address.size() == 1) return by_address[0]->name;
  if (by_address.size() > 1) return several(by_address, "it has an address of each");
  return make_error(ErrorCode::kNotFound,
                    "this machine is not in " + inventory.file + ": no host there is named '" +
                        std::string(hostname) +
                        "' or has one of its addresses; say which it is with --self NAME");
}

}  // namespace espalier::mesh
