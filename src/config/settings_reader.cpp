#include "config/settings_reader.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "config/interface_reader.hpp"
#include "config/limits.hpp"
#include "config/scalars.hpp"
#include "config/schema.hpp"
#include "config/service_reader.hpp"
#include "config/words.hpp"
#include "policy/proposal.hpp"

namespace espalier::config {
namespace {

using policy::AuthKind;
using policy::Encap;
using policy::Start;

std::string quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

// Turns a scalar into a value with `parse`; an error becomes "'key' <error>" at the scalar's place.
template <class T, class Parse>
Maybe<T> parsed(const YamlEntry& entry, Parse parse, Diagnostics& diagnostics) {
  const YamlNode* node = scalar_of(entry, diagnostics);
  if (node == nullptr) return std::nullopt;
  auto value = parse(node->text);
  if (!value) {
    diagnostics.add(node->at, value.error().code, quoted(entry.key) + " " + value.error().message);
    return std::nullopt;
  }
  return Given<T>{static_cast<T>(std::move(value).value()), node->at};
}

template <class T>
struct Word {
  std::string_view text;
  std::optional<T> value;         // nothing: not supported yet
  std::string_view instead = {};  // then
};

template <class T>
Maybe<T> one_of(const YamlEntry& entry, std::initializer_list<Word<T>> words,
                Diagnostics& diagnostics) {
  const YamlNode* node = scalar_of(entry, diagnostics);
  if (node == nullptr) return std::nullopt;
  std::vector<std::string_view> known;
  for (const Word<T>& word : words) {
    if (word.value) known.push_back(word.text);
    if (word.text != node->text) continue;
    if (word.value) return Given<T>{*word.value, node->at};
    diagnostics.unsupported(node->at, quoted(entry.key + ": " + node->text), word.instead);
    return std::nullopt;
  }
  diagnostics.bad(node->at, quoted(entry.key) + " is " + describe(*node) +
                                ", which is no value of it" + suggestion(node->text, known));
  return std::nullopt;
}

template <class T>
auto within(Result<T> (*parse)(std::string_view), T least, T most, std::string_view range) {
  return [=](std::string_view text) -> Result<T> {
    TRY_ASSIGN(const T value, parse(text));
    if (value < least || value > most) {
      return make_error(ErrorCode::kBadInput,
                        "is '" + std::string(text) + "'; it can be " + std::string(range));
    }
    return value;
  };
}

bool expect_map(const YamlEntry& entry, Scope scope, Diagnostics& diagnostics) {
  if (entry.value.is_map()) {
    check_keys(entry.value, {scope}, diagnostics);
    return true;
  }
  std::string keys;
  for (const SchemaKey& row : schema()) {
    if (row.scope == scope) keys += (keys.empty() ? "" : ", ") + std::string(row.key);
  }
  diagnostics.bad(entry.value.at, quoted(entry.key) + " is " + describe(entry.value) +
                                      "; it is a map with the keys " + keys);
  return false;
}

// The name of a post-quantum key goes over the wire and into logs: plain words only.
std::string ppk_id(const YamlNode& node, Diagnostics& diagnostics) {
  const bool plain = std::all_of(node.text.begin(), node.text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_' || c == '@';
  });
  if (!plain || node.text.empty() || node.text.size() > kMaxPpkId) {
    diagnostics.bad(node.at, "'id' of 'ppk' is " + describe(node) +
                                 "; it can be 1 to 64 letters, digits, '.', '-', '_' and '@'");
  }
  return node.text;
}

// A word that only some callers can honour: theirs, or refused by name.
template <class T>
std::optional<T> if_honoured(bool honoured, T value) {
  return honoured ? std::optional<T>(value) : std::nullopt;
}

void read_mode(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  using policy::Mode;
  layer.mode = one_of<Mode>(
      entry,
      {{"tunnel", Mode::kTunnel},
       {"beet", std::nullopt, "write tunnel, or transport"},
       {"transport", if_honoured(diagnostics.accepts().transport_mode, Mode::kTransport),
        kNeedsKernelPlane}},
      diagnostics);
}

void read_protect(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  using policy::Protect;
  layer.protect = one_of<Protect>(
      entry, {{"require", Protect::kRequire}, {"use", Protect::kUse}, {"off", Protect::kOff}},
      diagnostics);
}

void read_start(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.start = one_of<Start>(
      entry,
      {{"now", Start::kNow},
       {"none", Start::kNone},
       {"trap", if_honoured(diagnostics.accepts().trap, Start::kTrap), kNeedsKernelPlane}},
      diagnostics);
}

void read_auth(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.auth =
      one_of<AuthKind>(entry, {{"psk", AuthKind::kPsk}, {"cert", AuthKind::kCert}}, diagnostics);
}

void read_ppk(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  using Setting = std::optional<PpkSetting>;
  if (entry.value.is_scalar() && (entry.value.text == "off" || entry.value.text == "false")) {
    layer.ppk = Given<Setting>{std::nullopt, entry.value.at};
    return;
  }
  if (!expect_map(entry, Scope::kPpk, diagnostics)) return;
  PpkSetting ppk;
  const YamlEntry* id = entry.value.find("id");
  const YamlEntry* secret = entry.value.find("secret");
  if (id == nullptr || secret == nullptr) {
    diagnostics.bad(
        entry.at, "'ppk' needs an 'id' and a 'secret', the same on both sides; or write ppk: off");
  }
  if (id != nullptr) {
    if (const YamlNode* node = scalar_of(*id, diagnostics)) ppk.id = ppk_id(*node, diagnostics);
  }
  if (secret != nullptr) ppk.secret_file = secret_file_of(*secret, diagnostics);
  if (const YamlEntry* required = entry.value.find("required")) {
    const Maybe<bool> value = parsed<bool>(*required, &parse_switch, diagnostics);
    ppk.required = !value || value->value;
  }
  layer.ppk = Given<Setting>{std::move(ppk), entry.value.at};
}

void read_encap(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.encap = one_of<Encap>(
      entry, {{"auto", Encap::kAuto}, {"always", Encap::kAlways}, {"never", std::nullopt}},
      diagnostics);
}

void read_except(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.except =
      Given<SharedList<policy::Service>>{read_services(entry, diagnostics), entry.value.at};
}

void read_only(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.only =
      Given<SharedList<policy::Service>>{read_services(entry, diagnostics), entry.value.at};
}

bool is_refused(const policy::IkeProposal&, const Diagnostics&) { return false; }
bool is_refused(const policy::EspProposal& proposal, const Diagnostics& diagnostics) {
  return policy::needs_kernel(proposal) && !diagnostics.accepts().kernel_suites;
}

template <class Proposal>
Maybe<SharedList<Proposal>> read_list(const YamlEntry& entry,
                                      Result<Proposal> (*parse)(std::string_view),
                                      Diagnostics& diagnostics) {
  std::vector<Proposal> list;
  const auto nodes = scalars_of(entry, kMaxProposals, diagnostics);
  for (const YamlNode* node : nodes) {
    auto proposal = parse(node->text);
    if (!proposal) {
      const ErrorCode code = proposal.error().code == ErrorCode::kInvalidArgument
                                 ? ErrorCode::kBadInput
                                 : proposal.error().code;
      diagnostics.add(node->at, code, proposal.error().message);
    } else if (is_refused(*proposal, diagnostics)) {
      diagnostics.unsupported(node->at, "the proposal '" + node->text + "'", kNeedsKernelPlane);
    } else if (std::find(list.begin(), list.end(), proposal.value()) != list.end()) {
      diagnostics.bad(node->at, "the proposal '" + node->text + "' stands here a second time");
    } else {
      list.push_back(std::move(proposal).value());
    }
  }
  if (entry.value.is_list() && entry.value.items.empty()) {
    diagnostics.bad(
        entry.value.at,
        quoted(entry.key) + " is an empty list; leave it out for the default proposals");
  }
  if (list.empty()) return std::nullopt;
  return Given<SharedList<Proposal>>{std::move(list), entry.value.at};
}

void read_proposals(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  if (!expect_map(entry, Scope::kProposals, diagnostics)) return;
  if (const YamlEntry* ike = entry.value.find("ike")) {
    layer.ike_proposals = read_list(*ike, &policy::parse_ike_proposal, diagnostics);
  }
  if (const YamlEntry* esp = entry.value.find("esp")) {
    layer.esp_proposals = read_list(*esp, &policy::parse_esp_proposal, diagnostics);
  }
}

// A number with `parse`, at least `least`, or the word none.
auto or_none(Result<std::uint64_t> (*parse)(std::string_view), std::uint64_t least,
             std::string_view range) {
  return [=](std::string_view text) -> Result<std::optional<std::uint64_t>> {
    if (text == "none") return std::optional<std::uint64_t>();
    const auto limited =
        within<std::uint64_t>(parse, least, std::numeric_limits<std::uint64_t>::max(), range);
    TRY_ASSIGN(const std::uint64_t value, limited(text));
    return std::optional<std::uint64_t>(value);
  };
}

void read_lifetimes(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  if (!expect_map(entry, Scope::kLifetimes, diagnostics)) return;
  const auto life = within<Duration>(&parse_duration, 1s, 720h, "1s to 30d");
  using Count = std::optional<std::uint64_t>;
  if (const YamlEntry* ike = entry.value.find("ike")) {
    layer.ike_lifetime = parsed<Duration>(*ike, life, diagnostics);
  }
  if (const YamlEntry* child = entry.value.find("child")) {
    layer.child_lifetime = parsed<Duration>(*child, life, diagnostics);
  }
  if (const YamlEntry* reauth = entry.value.find("reauth")) {
    const auto parse = [](std::string_view text) -> Result<std::optional<Duration>> {
      if (text == "none") return std::optional<Duration>();
      TRY_ASSIGN(const Duration time,
                 within<Duration>(&parse_duration, 1min, 720h, "1m to 30d, or none")(text));
      return std::optional<Duration>(time);
    };
    layer.reauth = parsed<std::optional<Duration>>(*reauth, parse, diagnostics);
  }
  if (const YamlEntry* bytes = entry.value.find("child_bytes")) {
    layer.child_bytes = parsed<Count>(
        *bytes, or_none(&parse_octets, 1'000'000, "1MB or more, or none"), diagnostics);
  }
  if (const YamlEntry* packets = entry.value.find("child_packets")) {
    layer.child_packets =
        parsed<Count>(*packets, or_none(&parse_number, 1000, "1000 or more, or none"), diagnostics);
  }
  if (const YamlEntry* jitter = entry.value.find("jitter")) {
    layer.jitter_percent = parsed<unsigned>(
        *jitter, within<unsigned>(&parse_percent, 0u, 50u, "0% to 50%"), diagnostics);
  }
}

void read_dpd(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  const auto parse = [](std::string_view text) -> Result<Duration> {
    if (text == "off" || text == "false") return Duration::zero();
    return within<Duration>(&parse_duration, 1s, 24h, "1s to 1d, or off")(text);
  };
  layer.dpd = parsed<Duration>(entry, parse, diagnostics);
}

void read_mobike(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.mobike = parsed<bool>(entry, &parse_switch, diagnostics);
}

void read_fragmentation(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.fragmentation = parsed<bool>(entry, &parse_switch, diagnostics);
}

void read_revocation(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  using Policy = crypto::RevocationPolicy;
  layer.revocation = one_of<Policy>(
      entry,
      {{"relaxed", Policy::kRelaxed}, {"ifuri", Policy::kIfUri}, {"strict", Policy::kStrict}},
      diagnostics);
}

void read_esn(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.esn = parsed<bool>(entry, &parse_switch, diagnostics);
}

// RFC 4303 section 3.4.3: "A minimum window size of 32 packets MUST be supported"; 4096 is what
// Linux keeps at most.
void read_replay_window(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.replay_window = parsed<std::uint32_t>(
      entry, within<std::uint64_t>(&parse_number, 32, 4096, "32 to 4096 packets"), diagnostics);
}

// What every plane does, and only the kernel's can do otherwise.
template <class T>
void keep_if_honoured(const YamlEntry& entry, const T& usual, Maybe<T>& value,
                      Diagnostics& diagnostics) {
  if (!value || value->value == usual || diagnostics.accepts().outer_header) return;
  diagnostics.unsupported(value->at, quoted(entry.key + ": " + entry.value.text),
                          kNeedsKernelPlane);
  value.reset();
}

void read_copy_df(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.copy_df = parsed<bool>(entry, &parse_switch, diagnostics);
  keep_if_honoured(entry, true, layer.copy_df, diagnostics);
}

void read_copy_ecn(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.copy_ecn = parsed<bool>(entry, &parse_switch, diagnostics);
  keep_if_honoured(entry, true, layer.copy_ecn, diagnostics);
}

void read_copy_dscp(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  using policy::CopyDscp;
  layer.copy_dscp = one_of<CopyDscp>(entry,
                                     {{"out", CopyDscp::kOut},
                                      {"in", CopyDscp::kIn},
                                      {"yes", CopyDscp::kBoth},
                                      {"no", CopyDscp::kNo}},
                                     diagnostics);
  keep_if_honoured(entry, CopyDscp::kOut, layer.copy_dscp, diagnostics);
}

void read_set_mark_out(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.set_mark_out = parsed<std::optional<policy::Mark>>(entry, &parse_mark, diagnostics);
  keep_if_honoured(entry, std::optional<policy::Mark>(), layer.set_mark_out, diagnostics);
}

bool binds(const YamlEntry& entry, Diagnostics& diagnostics) {
  if (diagnostics.accepts().route_based) return true;
  diagnostics.unsupported(entry.value.at, quoted(entry.key + ": " + entry.value.text),
                          kNeedsKernelPlane);
  return false;
}

template <class T>
void read_binding(const YamlEntry& entry, Result<T> (*parse)(std::string_view),
                  std::initializer_list<Maybe<T>*> into, Diagnostics& diagnostics) {
  if (!binds(entry, diagnostics)) return;
  const Maybe<T> value = parsed<T>(entry, parse, diagnostics);
  if (!value) return;
  for (Maybe<T>* one : into) *one = value;
}

void read_if_id(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  read_binding(entry, &parse_if_id, {&layer.if_id_in, &layer.if_id_out}, diagnostics);
}
void read_if_id_in(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  read_binding(entry, &parse_if_id, {&layer.if_id_in}, diagnostics);
}
void read_if_id_out(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  read_binding(entry, &parse_if_id, {&layer.if_id_out}, diagnostics);
}
void read_mark(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  read_binding(entry, &parse_packet_mark, {&layer.mark_in, &layer.mark_out}, diagnostics);
}
void read_mark_in(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  read_binding(entry, &parse_packet_mark, {&layer.mark_in}, diagnostics);
}
void read_mark_out(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  read_binding(entry, &parse_packet_mark, {&layer.mark_out}, diagnostics);
}

void read_device(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.interface = read_interface(entry, diagnostics);
}

void read_childless(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  using policy::Childless;
  layer.childless = one_of<Childless>(entry,
                                      {{"allow", Childless::kAllow},
                                       {"prefer", Childless::kPrefer},
                                       {"force", Childless::kForce},
                                       {"never", Childless::kNever}},
                                      diagnostics);
}

void read_resumption(const YamlEntry& entry, SettingsLayer& layer, Diagnostics& diagnostics) {
  layer.resumption = parsed<bool>(entry, &parse_switch, diagnostics);
}

struct Reader {
  std::string_view key;
  void (*read)(const YamlEntry&, SettingsLayer&, Diagnostics&);
};

constexpr Reader kReaders[] = {
    {"mode", read_mode},
    {"protect", read_protect},
    {"start", read_start},
    {"auth", read_auth},
    {"ppk", read_ppk},
    {"except", read_except},
    {"only", read_only},
    {"proposals", read_proposals},
    {"lifetimes", read_lifetimes},
    {"dpd", read_dpd},
    {"mobike", read_mobike},
    {"fragmentation", read_fragmentation},
    {"revocation", read_revocation},
    {"esn", read_esn},
    {"replay_window", read_replay_window},
    {"copy_df", read_copy_df},
    {"copy_ecn", read_copy_ecn},
    {"copy_dscp", read_copy_dscp},
    {"set_mark_out", read_set_mark_out},
    // What is for both directions first: a direction's own word comes after it.
    {"if_id", read_if_id},
    {"if_id_in", read_if_id_in},
    {"if_id_out", read_if_id_out},
    {"mark", read_mark},
    {"mark_in", read_mark_in},
    {"mark_out", read_mark_out},
    {"interface", read_device},
    {"encap", read_encap},
    {"childless", read_childless},
    {"resumption", read_resumption},
};

}  // namespace

const YamlNode* scalar_of(const YamlEntry& entry, Diagnostics& diagnostics) {
  if (entry.value.is_scalar()) return &entry.value;
  diagnostics.bad(entry.value.at,
                  quoted(entry.key) + " is " + describe(entry.value) + " where one value belongs");
  return nullptr;
}

std::vector<const YamlNode*> scalars_of(const YamlEntry& entry, std::size_t most,
                                        Diagnostics& diagnostics) {
  if (entry.value.is_scalar()) return {&entry.value};
  std::vector<const YamlNode*> list;
  if (!entry.value.is_list()) {
    diagnostics.bad(entry.value.at, quoted(entry.key) + " is " + describe(entry.value) +
                                        " where a value or a list of values belongs");
    return list;
  }
  if (entry.value.items.size() > most) {
    diagnostics.add(entry.value.at, ErrorCode::kLimit,
                    quoted(entry.key) + " has " + std::to_string(entry.value.items.size()) +
                        " values; at most " + std::to_string(most) + " are allowed");
    return list;
  }
  for (const YamlNode& item : entry.value.items) {
    if (item.is_scalar()) {
      list.push_back(&item);
    } else {
      diagnostics.bad(
          item.at, "the list '" + entry.key + "' has " + describe(item) + " where a value belongs");
    }
  }
  return list;
}

std::string secret_file_of(const YamlEntry& entry, Diagnostics& diagnostics) {
  const YamlNode* node = scalar_of(entry, diagnostics);
  if (node == nullptr) return "";
  constexpr std::string_view kFile = "file:";
  // The value is not shown: somebody may have written the secret itself.
  if (node->text.substr(0, kFile.size()) != kFile) {
    diagnostics.bad(
        node->at,
        "'secret' has to be file:NAME, a file below private/; an inventory holds no secrets");
    return "";
  }
  const std::string name = node->text.substr(kFile.size());
  if (const Status good = check_file_name(name); !good) {
    diagnostics.bad(node->at, "'secret' names a file wrongly: " + good.error().message);
  }
  return name;
}

SettingsLayer read_settings(const YamlNode& map, Diagnostics& diagnostics) {
  SettingsLayer layer;
  for (const Reader& reader : kReaders) {
    if (const YamlEntry* entry = map.find(reader.key)) reader.read(*entry, layer, diagnostics);
  }
  return layer;
}

std::vector<std::string_view> settings_with_reader() {
  std::vector<std::string_view> keys;
  for (const Reader& reader : kReaders) keys.push_back(reader.key);
  return keys;
}

policy::NullAuth null_auth_of(const YamlEntry& entry, Diagnostics& diagnostics) {
  using policy::NullAuth;
  const auto which = one_of<NullAuth>(
      entry,
      {{"local", NullAuth::kLocal}, {"remote", NullAuth::kRemote}, {"both", NullAuth::kBoth}},
      diagnostics);
  return which ? which->value : NullAuth::kNone;
}

policy::Redirect redirect_of(const YamlEntry& entry, Diagnostics& diagnostics) {
  policy::Redirect redirect;
  if (!expect_map(entry, Scope::kRedirect, diagnostics)) return redirect;
  if (const YamlEntry* accept = entry.value.find("accept")) {
    for (const YamlNode* node : scalars_of(*accept, kMaxSubnets, diagnostics)) {
      const auto prefix = parse_subnet(node->text);
      if (prefix) {
        redirect.accept.push_back(*prefix);
      } else {
        diagnostics.add(node->at, prefix.error().code, "'accept' " + prefix.error().message);
      }
    }
  }
  if (const YamlEntry* to = entry.value.find("to")) {
    if (const auto address = parsed<IpAddress>(*to, &parse_host_address, diagnostics)) {
      redirect.to = address->value;
    }
  }
  if (const YamlEntry* when = entry.value.find("when")) {
    const auto word = one_of<bool>(*when, {{"init", false}, {"auth", true}}, diagnostics);
    redirect.after_auth = word && word->value;
    if (!redirect.to)
      diagnostics.bad(when->at, "'when' of 'redirect' is about 'to', which is not there");
  }
  return redirect;
}

}  // namespace espalier::config
