// Apart from manual_sheet.cpp because nlohmann-json alone takes most of the compile time.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/manual_sheet.hpp"
#include "config/scalars.hpp"
#include "policy/selectors.hpp"

namespace espalier::cli {

using Json = nlohmann::ordered_json;

Result<std::string> sheet_json(const policy::ManualTunnel& side, const ManualVendor& vendor,
                               bool with_keys) {
  const auto list = [](const policy::SelectorList& selectors) {
    Json out = Json::array();
    for (const auto& one : selectors) out.push_back(policy::to_string(one));
    return out;
  };
  Json outside = Json::array();
  for (const policy::Service& service : side.except) outside.push_back(policy::to_string(service));
  Json periods = Json::array();
  for (const policy::ManualKeys& keys : side.keys) {
    TRY(fits_vendor(vendor, keys));
    Json period{{"from", keys.from ? Json(config::utc_text(*keys.from)) : Json(nullptr)},
                {"spi_in", keys.spi_in.value},
                {"spi_in_hex", fmt::format("0x{:x}", keys.spi_in.value)},
                {"spi_out", keys.spi_out.value},
                {"spi_out_hex", fmt::format("0x{:x}", keys.spi_out.value)},
                {"spi_in_text", vendor_spi(vendor, keys.spi_in)},
                {"spi_out_text", vendor_spi(vendor, keys.spi_out)}};
    const std::pair<const char*, const SecretBytes*> kRows[] = {{"encr_in", &keys.encr_in},
                                                                {"integ_in", &keys.integ_in},
                                                                {"encr_out", &keys.encr_out},
                                                                {"integ_out", &keys.integ_out}};
    for (const auto& [name, key] : kRows) {
      if (!with_keys) break;
      TRY_ASSIGN(period[name], vendor_key(vendor, *key));
    }
    periods.push_back(std::move(period));
  }
  const Json out{{"name", side.name},
                 {"device", std::string(vendor.name)},
                 {"local", side.local.to_string()},
                 {"remote", side.remote.to_string()},
                 {"mode", std::string(policy::name(side.mode))},
                 {"udp_encap", side.udp_encap},
                 {"suite", policy::suite_words(side.suite)},
                 {"replay_window", side.replay_window},
                 {"local_ts", list(side.local_ts)},
                 {"remote_ts", list(side.remote_ts)},
                 {"outside", outside},
                 {"keys", std::move(periods)}};
  return out.dump(2) + '\n';
}

}  // namespace espalier::cli
