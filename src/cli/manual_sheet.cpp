#include "cli/manual_sheet.hpp"

#include <fmt/format.h>

#include <tuple>

#include "cli/text.hpp"
#include "config/scalars.hpp"
#include "dataplane/kernel/algorithms.hpp"
#include "policy/selectors.hpp"
#include "policy/service_selectors.hpp"

namespace espalier::cli {
namespace {

using policy::ManualKeys;
using policy::ManualTunnel;

std::string networks(const policy::SelectorList& list) { return policy::to_string(list); }

std::string when(const ManualTunnel& side, std::size_t i) {
  std::string text = fmt::format("keys {} of {}", i + 1, side.keys.size());
  if (side.keys[i].from) text += ", from " + config::utc_text(*side.keys[i].from);
  return text;
}

std::string spi_for(const ManualVendor& vendor, Spi spi) {
  const std::string own = vendor_spi(vendor, spi);
  return vendor.name == "espalier" ? policy::spi_words(spi)
                                   : fmt::format("{}  (that is {})", own, policy::spi_words(spi));
}

struct IpWords {
  const ManualTunnel& side;
  dataplane::kernel::KernelAlgorithms names;
  std::uint32_t reqid;
};

std::string state_line(const IpWords& words, const ManualKeys& keys, bool in) {
  const ManualTunnel& side = words.side;
  const IpAddress& from = in ? side.remote : side.local;
  const IpAddress& to = in ? side.local : side.remote;
  const SecretBytes& encr = in ? keys.encr_in : keys.encr_out;
  const SecretBytes& integ = in ? keys.integ_in : keys.integ_out;
  std::string line =
      fmt::format("ip xfrm state add src {} dst {} proto esp spi 0x{:x} reqid {} mode {}",
                  from.to_string(), to.to_string(), (in ? keys.spi_in : keys.spi_out).value,
                  words.reqid, policy::name(side.mode));
  line += fmt::format(" replay-window {}", in ? side.replay_window : 0);
  if (side.mode == policy::Mode::kTunnel) line += " flag af-unspec";
  if (side.replay_window == 0) line += " extra-flag oseq-may-wrap";
  line += fmt::format(" auth-trunc '{}' 0x{} {} enc '{}' 0x{}", words.names.auth,
                      to_hex(integ.reveal()), words.names.icv_bits, words.names.crypt,
                      to_hex(encr.reveal()));
  if (side.udp_encap) line += " encap espinudp 4500 4500 0.0.0.0";
  return line + "\n";
}

// What stays outside IPsec, by commands as far as `ip xfrm` has words for it: no ranges of ports.
// Their priority is before that of the tunnel.
std::string exception_lines(const ManualTunnel& side) {
  const auto ports = [](const policy::TrafficSelector& one, const char* word) {
    return one.start_port == one.end_port ? fmt::format(" {} {}", word, one.start_port)
                                          : std::string();
  };
  const auto whole = [](const policy::TrafficSelector& one) {
    return one.start_port == one.end_port || (one.start_port == 0 && one.end_port == 65535);
  };
  std::string text;
  for (const auto& [local, remote] : policy::exceptions_of(policy::traffic_of(side))) {
    if (!whole(local) || !whole(remote)) {
      text += fmt::format("# outside IPsec too, for which ip xfrm has no words: {} to {}\n",
                          policy::to_string(local), policy::to_string(remote));
      continue;
    }
    for (const Prefix& a : policy::to_prefixes(local)) {
      for (const Prefix& b : policy::to_prefixes(remote)) {
        for (const bool out : {true, false}) {
          const auto& [from, to] = out ? std::tie(a, b) : std::tie(b, a);
          const auto& [source, destination] =
              out ? std::tie(local, remote) : std::tie(remote, local);
          text += fmt::format(
              "ip xfrm policy add src {} dst {}{}{}{} dir {} priority 1000\n", from.to_string(),
              to.to_string(),
              local.protocol == 0 ? std::string() : fmt::format(" proto {}", local.protocol),
              ports(source, "sport"), ports(destination, "dport"), out ? "out" : "in");
        }
      }
    }
  }
  return text;
}

std::string policy_lines(const IpWords& words, const Prefix& local, const Prefix& remote) {
  const ManualTunnel& side = words.side;
  const auto line = [&](const Prefix& src, const Prefix& dst, const char* direction, bool out) {
    return fmt::format(
        "ip xfrm policy add src {} dst {} dir {} priority 2000 tmpl src {} dst {} proto esp reqid "
        "{} "
        "mode {}\n",
        src.to_string(), dst.to_string(), direction, (out ? side.local : side.remote).to_string(),
        (out ? side.remote : side.local).to_string(), words.reqid, policy::name(side.mode));
  };
  std::string text = line(local, remote, "out", true) + line(remote, local, "in", false);
  if (side.mode == policy::Mode::kTunnel) text += line(remote, local, "fwd", false);
  return text;
}

}  // namespace

Result<std::string> sheet_text(const ManualTunnel& side, const ManualVendor& vendor) {
  std::vector<std::vector<Cell>> rows;
  const auto row = [&](std::string label, std::string value) {
    rows.push_back({Cell("  " + std::move(label)), Cell(std::move(value))});
  };
  row("local address", side.local.to_string());
  row("remote address", side.remote.to_string());
  row("mode", std::string(policy::name(side.mode)));
  row("encapsulation", side.udp_encap ? "ESP in UDP, port 4500 to 4500" : "none: ESP itself");
  row("local networks", networks(side.local_ts));
  row("remote networks", networks(side.remote_ts));
  for (const policy::Service& service : side.except) {
    row("outside IPsec", policy::to_string(service));
  }
  row("suite", policy::suite_words(side.suite));
  row("replay window", side.replay_window == 0 ? "off" : std::to_string(side.replay_window));
  for (std::size_t i = 0; i < side.keys.size(); ++i) {
    const ManualKeys& keys = side.keys[i];
    TRY(fits_vendor(vendor, keys));
    rows.push_back({Cell("  " + when(side, i))});
    if (vendor.one_spi) {
      row("  SPI", spi_for(vendor, keys.spi_in));
    } else {
      row("  incoming SPI", spi_for(vendor, keys.spi_in));
      row("  outgoing SPI", spi_for(vendor, keys.spi_out));
    }
    const auto key_row = [&](const char* label, const SecretBytes& key) -> Status {
      TRY_ASSIGN(std::string text, vendor_key(vendor, key));
      row(label, std::move(text));
      return {};
    };
    if (vendor.one_key) {
      TRY(key_row("  encryption key", keys.encr_in));
      TRY(key_row("  authentication key", keys.integ_in));
    } else {
      TRY(key_row("  incoming encryption key", keys.encr_in));
      TRY(key_row("  incoming authentication key", keys.integ_in));
      TRY(key_row("  outgoing encryption key", keys.encr_out));
      TRY(key_row("  outgoing authentication key", keys.integ_out));
    }
  }
  return fmt::format("{}, as {} writes it. Whoever reads this reads the traffic.\n", side.name,
                     vendor.title) +
         render_table(rows, false);
}

Result<std::string> sheet_ip(const ManualTunnel& side) {
  const auto names = dataplane::kernel::algorithms_of(side.suite);
  if (!names || names->crypt.empty()) {
    return make_error(ErrorCode::kUnsupported,
                      "Linux has no name for " + policy::suite_words(side.suite) + ".");
  }
  const IpWords words{side, *names, side.keys.front().spi_in.value};
  std::string text = fmt::format("# {}: whoever reads this reads the traffic.\n", side.name);
  for (std::size_t i = 0; i < side.keys.size(); ++i) {
    text += "# " + when(side, i) + "\n" + state_line(words, side.keys[i], true);
    const std::string out = state_line(words, side.keys[i], false);
    if (i == 0) {
      text += out;
    } else {
      text += fmt::format(
          "# then, to send with them: {}# and remove the one before: ip xfrm state "
          "delete src {} dst {} proto esp spi 0x{:x}\n",
          out, side.local.to_string(), side.remote.to_string(), side.keys[i - 1].spi_out.value);
    }
  }
  text += exception_lines(side);
  for (const auto& local : side.local_ts) {
    for (const auto& remote : side.remote_ts) {
      if (local.start.family() != remote.start.family()) continue;
      for (const Prefix& a : policy::to_prefixes(local)) {
        for (const Prefix& b : policy::to_prefixes(remote)) text += policy_lines(words, a, b);
      }
    }
  }
  return text;
}

}  // namespace espalier::cli
