#include "control/sa_section.hpp"

#include <algorithm>
#include <cctype>

#include "control/fields.hpp"
#include "control/suite_words.hpp"

namespace espalier::control {
namespace {

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

struct HostPort {
  std::string host, port;
};
// "192.0.2.11[4500]"
HostPort split_address(std::string_view text) {
  const std::size_t open = text.find('[');
  if (open == std::string_view::npos || text.back() != ']') return {std::string(text), ""};
  return {std::string(text.substr(0, open)),
          std::string(text.substr(open + 1, text.size() - open - 2))};
}

void put_if(Section& out, std::string_view key, const std::string& value) {
  if (!value.empty()) put(out, key, value);
}

void put_suite(Section& out, std::string_view words) {
  const SuiteNames names = suite_names(words);
  put_if(out, "encr-alg", names.encr);
  put_if(out, "encr-keysize", names.encr_keysize);
  put_if(out, "integ-alg", names.integ);
  put_if(out, "prf-alg", names.prf);
  put_if(out, "dh-group", names.dh);
  if (names.esn) put(out, "esn", "1");
}

Section child_sa(const ChildStatus& child, const UniqueIds& ids, bool encap) {
  Section out;
  put(out, "name", child.name);
  put_number(out, "uniqueid", ids.child(child));
  put_number(out, "reqid", child.reqid);
  put(out, "state", upper(child.state));
  put(out, "mode", upper(child.mode));
  put(out, "protocol", "ESP");
  if (encap) put(out, "encap", "yes");
  put(out, "spi-in", child.spi_in);
  put(out, "spi-out", child.spi_out);
  put_suite(out, child.suite);
  put_number(out, "bytes-in", child.bytes_in);
  put_number(out, "packets-in", child.packets_in);
  put_number(out, "bytes-out", child.bytes_out);
  put_number(out, "packets-out", child.packets_out);
  put_signed(out, "rekey-time", child.rekey_in_s);
  put_signed(out, "install-time", child.installed_s);
  put_list(out, "local-ts", child.local_ts);
  put_list(out, "remote-ts", child.remote_ts);
  return out;
}

}  // namespace

Section list_sa(const PairStatus& pair, const UniqueIds& ids, bool encap_always,
                Children children) {
  Section message;
  if (!pair.ike) return message;
  const IkeStatus& ike = *pair.ike;
  const bool initiator = ike.role == "initiator";
  Section out;
  put_number(out, "uniqueid", ids.ike(ike));
  put(out, "version", "2");
  put(out, "state", upper(ike.state));
  const HostPort local = split_address(ike.local);
  const HostPort remote = split_address(ike.remote);
  put(out, "local-host", local.host);
  put_if(out, "local-port", local.port);
  put(out, "local-id", ike.local_id);
  put(out, "remote-host", remote.host);
  put_if(out, "remote-port", remote.port);
  put(out, "remote-id", ike.remote_id);
  if (initiator) put(out, "initiator", "yes");
  put(out, "initiator-spi", initiator ? ike.spi_local : ike.spi_remote);
  put(out, "responder-spi", initiator ? ike.spi_remote : ike.spi_local);
  if (ike.nat) put(out, "nat-any", "yes");
  if (ike.ppk) put(out, "ppk", "yes");
  put_suite(out, ike.suite);
  put_signed(out, "established", ike.established_s);
  put_signed(out, "rekey-time", ike.rekey_in_s);
  if (children == Children::kAll) {
    Section list;
    for (const auto& child : pair.children) {
      // Two SAs of one child live side by side while it is rekeyed: the number keeps them apart.
      put_section(list, child.name + "-" + std::to_string(ids.child(child)),
                  child_sa(child, ids, encap_always || ike.nat || child.udp_encap));
    }
    put_section(out, "child-sas", std::move(list));
  }
  put_section(message, pair.name, std::move(out));
  return message;
}

Section list_conn(const ConnectionConfig& connection) {
  Section out;
  put_list(out, "local_addrs", connection.local_addresses);
  put_list(out, "remote_addrs", connection.remote_addresses);
  put(out, "version", "IKEv2");
  put(out, "reauth_time", "0");
  put_signed(out, "rekey_time", connection.rekey_time_s);
  const std::string_view kind = connection.auth == "cert" ? "public key" : "pre-shared key";
  Section local;
  put(local, "class", kind);
  put(local, "id", connection.local_id);
  put_section(out, "local-1", std::move(local));
  Section remote;
  put(remote, "class", kind);
  put(remote, "id", connection.remote_id);
  put_section(out, "remote-1", std::move(remote));
  Section children;
  for (const auto& child : connection.children) {
    Section entry;
    put(entry, "mode", upper(child.mode));
    put_signed(entry, "rekey_time", child.rekey_time_s);
    put_number(entry, "rekey_bytes", child.rekey_bytes);
    put_number(entry, "rekey_packets", child.rekey_packets);
    put_list(entry, "local-ts", child.local_ts);
    put_list(entry, "remote-ts", child.remote_ts);
    put_section(children, child.name, std::move(entry));
  }
  put_section(out, "children", std::move(children));
  Section message;
  put_section(message, connection.name, std::move(out));
  return message;
}

}  // namespace espalier::control
