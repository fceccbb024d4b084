// `espalier manual new|sheet|convert`: keys go to standard output and nowhere else.
#include <fmt/format.h>

#include <algorithm>

#include "cli/inventory_file.hpp"
#include "cli/manual_sheet.hpp"
#include "cli/text.hpp"
#include "cli/verb.hpp"
#include "mesh/limits.hpp"
#include "mesh/manual.hpp"

namespace espalier::cli {
namespace {

using policy::KeyUse;
using policy::ManualKeys;

Error wrong(std::string message) {
  return make_error(ErrorCode::kInvalidArgument, std::move(message));
}

// Wiped when it goes.
struct SecretText {
  std::string text;
  explicit SecretText(std::string t) : text(std::move(t)) {}
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText() { wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}); }
};

Result<crypto::CipherSuite> suite_option(Call& call) {
  auto suite = policy::parse_manual_suite(call.options.get("--suite", "aes256-sha256"));
  if (!suite) return wrong("--suite " + suite.error().message + ".");
  return suite;
}

// Characters that no device and no shell of a device takes for something else.
constexpr std::string_view kCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!$%()*+,-./;<=>?@[]^_{|}~";

Result<SecretBytes> random_text(Environment& env, std::size_t size) {
  Bytes out;
  out.reserve(size);
  while (out.size() < size) {
    TRY_ASSIGN(const SecretBytes chance, env.random(4 * size));
    for (const std::uint8_t octet : chance.reveal()) {
      // Every character as likely as any other; the first a letter, so that it is no 0x.
      const std::size_t count = out.empty() ? 52 : kCharacters.size();
      if (out.size() < size && octet < 256 / count * count) {
        out.push_back(static_cast<std::uint8_t>(kCharacters[octet % count]));
      }
    }
  }
  return SecretBytes(std::move(out));
}

Result<SecretBytes> new_key(Environment& env, const crypto::CipherSuite& suite, KeyUse use,
                            bool as_text) {
  const std::size_t size = policy::key_octets(suite, use);
  for (int attempt = 0; attempt < 4; ++attempt) {
    TRY_ASSIGN(SecretBytes key, as_text ? random_text(env, size) : env.random(size));
    if (policy::check_manual_key(suite, use, key.reveal())) return key;
  }
  return make_error(ErrorCode::kInternal, "The kernel's random numbers do not look random.");
}

Result<Spi> new_spi(Environment& env) {
  TRY_ASSIGN(const SecretBytes chance, env.random(4));
  std::uint32_t value = 0;
  for (const std::uint8_t octet : chance.reveal()) value = value << 8 | octet;
  return Spi(value | 0x1000);  // beyond the reserved ones
}

Result<std::string> fresh(Call& call) {
  TRY_ASSIGN(const crypto::CipherSuite suite, suite_option(call));
  const bool one = call.has("--one"), as_text = call.has("--printable");
  ManualKeys keys;
  TRY_ASSIGN(keys.spi_in, new_spi(call.env));
  keys.spi_out = keys.spi_in;
  if (!one) {
    TRY_ASSIGN(keys.spi_out, new_spi(call.env));
  }
  TRY_ASSIGN(keys.encr_in, new_key(call.env, suite, KeyUse::kEncryption, as_text));
  TRY_ASSIGN(keys.integ_in, new_key(call.env, suite, KeyUse::kAuthentication, as_text));
  TRY_ASSIGN(keys.encr_out, new_key(call.env, suite, KeyUse::kEncryption, as_text));
  TRY_ASSIGN(keys.integ_out, new_key(call.env, suite, KeyUse::kAuthentication, as_text));
  const std::string spi =
      one ? fmt::format("0x{:x}", keys.spi_in.value)
          : fmt::format("{{in: 0x{:x}, out: 0x{:x}}}", keys.spi_in.value, keys.spi_out.value);
  const std::string decimal =
      one ? policy::spi_words(keys.spi_in)
          : policy::spi_words(keys.spi_in) + " and " + policy::spi_words(keys.spi_out);
  return fmt::format(
             "# Keys of {}; for a file below private/ at both ends, mode 0600.\n"
             "# In mesh.yaml: suite: {}, spi: {}\n"
             "# The SPIs are {}.\n",
             policy::suite_words(suite), policy::suite_words(suite), spi, decimal) +
         SecretText(mesh::manual_keys_text(keys, one, as_text)).text;
}

Result<SecretBytes> read_secret_file(Environment& env, const std::string& path) {
  TRY_ASSIGN(std::string text, env.read_file(path, mesh::kMaxSecretFileOctets));
  SecretBytes out(as_bytes(text));
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return out;
}

Result<policy::ManualTunnel> find_tunnel(Call& call) {
  const std::string path = call.config + "/mesh.yaml";
  TRY_ASSIGN(const config::LoadOutcome outcome,
             read_inventory(call.env, path, config::kKernelPlane));
  if (!outcome.ok()) return config::to_error(outcome.diagnostics);
  TRY_ASSIGN(const std::string self, chosen_self(call, *outcome.inventory));
  mesh::Credentials credentials;
  for (const mesh::RequiredFile& file : mesh::required_files(*outcome.inventory, self)) {
    if (file.kind != mesh::RequiredFile::Kind::kManualKeys) continue;
    const std::string full = call.config + "/" + file.path;
    TRY(call.env.check_private(full));
    TRY_ASSIGN(credentials.manual_keys[file.name], read_secret_file(call.env, full));
  }
  TRY_ASSIGN(std::vector<policy::ManualTunnel> all,
             mesh::compile_manual(*outcome.inventory, self, credentials));
  const std::string& name = call.words().front();
  std::string known;
  for (policy::ManualTunnel& tunnel : all) {
    if (tunnel.name == name || tunnel.peer == name) return std::move(tunnel);
    known += (known.empty() ? "" : ", ") + tunnel.name;
  }
  return make_error(ErrorCode::kNotFound,
                    fmt::format("{} has no manual tunnel '{}'; it has: {}.", self, printable(name),
                                known.empty() ? "none" : known));
}

Result<std::string> sheet(Call& call) {
  TRY_ASSIGN(const ManualVendor vendor, manual_vendor(call.options.get("--device", "espalier")));
  TRY_ASSIGN(policy::ManualTunnel side, find_tunnel(call));
  if (!call.has("--own")) {
    const std::string name = side.name.substr(0, side.name.size() - side.peer.size() - 1);
    side = policy::mirrored(side);
    side.name = side.peer + "-" + name;
  }
  if (call.has("--keys") && !call.has("--json")) {
    return wrong("--keys is for --json; the other forms have the keys anyway.");
  }
  if (call.has("--ip")) {
    if (call.has("--json") || call.has("--device")) {
      return wrong("--ip is a form of its own; leave --json and --device out.");
    }
    return sheet_ip(side);
  }
  return call.has("--json") ? sheet_json(side, vendor, call.has("--keys"))
                            : sheet_text(side, vendor);
}

// "spi: 100", "encr: 6b..." as a device shows them.
class DeviceReader {
 public:
  DeviceReader(const ManualVendor& vendor, const crypto::CipherSuite& suite, std::string file)
      : vendor_(vendor), suite_(suite), file_(std::move(file)) {}

  Status line(std::string_view text) {
    ++line_;
    while (!text.empty() && (text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
    if (text.empty() || text[0] == '#') return {};
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return unknown();
    const std::string_view name = text.substr(0, colon);
    std::string_view value = text.substr(colon + 1);
    while (!value.empty() && value[0] == ' ') value.remove_prefix(1);
    const unsigned column = static_cast<unsigned>(text.size() - value.size() + 1);
    const bool in = !name.ends_with("-out"), out = !name.ends_with("-in");
    const std::string_view what = name.substr(0, name.find('-'));
    if (what == "spi") {
      auto spi = read_vendor_spi(vendor_, value);
      if (!spi) return fault(column, "'spi' " + spi.error().message);
      if (in) keys.spi_in = *spi;
      if (out) keys.spi_out = *spi;
      return {};
    }
    if (what != "encr" && what != "integ") return unknown();
    auto key = read_vendor_key(vendor_, value);
    const KeyUse use = what == "encr" ? KeyUse::kEncryption : KeyUse::kAuthentication;
    const Status good =
        key ? policy::check_manual_key(suite_, use, key->reveal()) : Status(key.error());
    if (!good) return fault(column, "'" + std::string(name) + "' " + good.error().message);
    if (in) (what == "encr" ? keys.encr_in : keys.integ_in) = *key;
    if (out) (what == "encr" ? keys.encr_out : keys.integ_out) = *key;
    return {};
  }

  Status end() {
    if (!keys.spi_in || !keys.spi_out || keys.encr_in.empty() || keys.encr_out.empty() ||
        keys.integ_in.empty() || keys.integ_out.empty()) {
      return fault(1,
                   "the SPI or a key is missing: spi, encr and integ, or each with -in and -out");
    }
    return {};
  }

  ManualKeys keys;

 private:
  Error unknown() const {
    return fault(1,
                 "this is no line that is known; they are spi, encr and integ, each also with "
                 "-in or -out, then ': ' and what the device shows");
  }
  Error fault(unsigned column, const std::string& message) const {
    return make_error(ErrorCode::kBadInput,
                      config::to_string(config::Diagnostic{file_, std::max(line_, 1u), column,
                                                           ErrorCode::kBadInput, message}));
  }

  const ManualVendor& vendor_;
  const crypto::CipherSuite& suite_;
  std::string file_;
  unsigned line_ = 0;
};

Result<std::string> convert(Call& call) {
  TRY_ASSIGN(const ManualVendor from, manual_vendor(call.options.get("--from", "espalier")));
  TRY_ASSIGN(const ManualVendor to, manual_vendor(call.options.get("--to", "espalier")));
  TRY_ASSIGN(const crypto::CipherSuite suite, suite_option(call));
  const std::string& path = call.words().front();
  auto read = read_secret_file(call.env, path == "-" ? "/dev/stdin" : path);
  if (!read) return make_error(ErrorCode::kBadInput, read.error().message);
  const ByteView view = read->reveal();
  std::string_view text(reinterpret_cast<const char*>(view.data()), view.size());
  DeviceReader reader(from, suite, path);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    TRY(reader.line(text.substr(0, end)));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  TRY(reader.end());
  const ManualKeys& keys = reader.keys;
  TRY(fits_vendor(to, keys));
  std::string out;
  const auto add = [&](const char* name, const std::string& value) {
    out += fmt::format("{}: {}\n", name, value);
  };
  const bool ours = to.name == "espalier";
  const bool one_spi = keys.spi_in == keys.spi_out;
  if (ours) {
    out += one_spi ? fmt::format("# In mesh.yaml: spi: 0x{:x}, which is {}\n", keys.spi_in.value,
                                 policy::spi_words(keys.spi_in))
                   : fmt::format(
                         "# In mesh.yaml: spi: {{in: 0x{:x}, out: 0x{:x}}}, which are {} "
                         "and {}\n",
                         keys.spi_in.value, keys.spi_out.value, policy::spi_words(keys.spi_in),
                         policy::spi_words(keys.spi_out));
  } else if (one_spi) {
    add("spi", vendor_spi(to, keys.spi_in));
  } else {
    add("spi-in", vendor_spi(to, keys.spi_in));
    add("spi-out", vendor_spi(to, keys.spi_out));
  }
  const bool one_key = keys.encr_in == keys.encr_out && keys.integ_in == keys.integ_out;
  const std::pair<const char*, const SecretBytes*> kRows[] = {
      {one_key ? "encr" : "encr-in", &keys.encr_in},
      {one_key ? "integ" : "integ-in", &keys.integ_in},
      {one_key ? nullptr : "encr-out", &keys.encr_out},
      {one_key ? nullptr : "integ-out", &keys.integ_out}};
  for (const auto& [name, key] : kRows) {
    if (name == nullptr) continue;
    TRY_ASSIGN(const std::string value, vendor_key(to, *key));
    add(name, value);
  }
  return out;
}

int print(Call& call, Result<std::string> text) {
  if (!text) return fail(call.env, text.error());
  const SecretText secret(std::move(*text));
  call.env.out(secret.text);
  return kDone;
}

}  // namespace

int run_manual_new(Call& call) { return print(call, fresh(call)); }
int run_manual_sheet(Call& call) { return print(call, sheet(call)); }
int run_manual_convert(Call& call) { return print(call, convert(call)); }

}  // namespace espalier::cli
