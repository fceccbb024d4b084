#include "config/schema.hpp"

#include <algorithm>
#include <array>

#include "config/words.hpp"
#include "policy/service.hpp"

namespace espalier::config {
namespace {

constexpr Scope kTop = Scope::kTop;
constexpr Scope kSet = Scope::kSettings;
constexpr Scope kLife = Scope::kLifetimes;
constexpr Scope kPpk = Scope::kPpk;
constexpr Scope kService = Scope::kService;
constexpr Scope kInterface = Scope::kInterface;
constexpr Scope kHost = Scope::kHost;
constexpr Scope kForeign = Scope::kForeign;
constexpr Scope kRedirect = Scope::kRedirect;
constexpr Scope kManual = Scope::kManual;
constexpr Support kYes = Support::kHonoured;
constexpr Support kPart = Support::kPartly;
constexpr Support kNo = Support::kNotYet;

constexpr auto kSchema = std::to_array<SchemaKey>({
    {kTop, "mesh", "name", "1 to 63 letters, digits, `.`, `-`, `_`", "", kYes,
     "The mesh's name. It goes into every derived key; needed."},
    {kTop, "defaults", "map", "settings", "", kYes,
     "Settings of every pair that nothing below says otherwise."},
    {kTop, "hosts", "map", "NAME: address, or NAME: host", "", kYes,
     "The hosts of the mesh; needed. Names are DNS labels or FQDNs. At least two, or one and a "
     "foreign peer."},
    {kTop, "foreign", "map", "NAME: foreign", "", kYes,
     "Peers that do not run Espalier; each host pairs with each."},
    {kTop, "pairs", "map", "A-B: settings", "", kYes,
     "Settings of one pair, in either order of its names; before every other."},
    {kTop, "manual", "map", "A-B: manual tunnel", "", kYes,
     "Tunnels whose keys are written down, without IKE: of the host A with the host B, which then "
     "have no IKE with each other, or with a peer that nothing else names. See below."},
    {kTop, "groups", "map", "NAME: settings", "", kYes,
     "Settings of every host that names the group."},

    {kSet, "mode", "word", "`tunnel`, `transport`", "tunnel", kPart,
     "`transport`: ESP without a second IP header, between the hosts' own addresses of one family; "
     "what else there is goes by a tunnel beside it. With `--dataplane kernel` only; `espalier "
     "simulate` takes it."},
    {kSet, "protect", "word", "`require`, `use`, `off`", "require", kYes,
     "`require`: without an SA nothing passes in the clear. `use`: protected while there is an SA, "
     "in the clear while there is none, and what arrives in the clear is taken. `off`: no IPsec "
     "with that peer. Between `use` and `require` a reload switches without touching an SA."},
    {kSet, "start", "word", "`now`, `trap`, `none`", "now", kPart,
     "`now`: connect at once and stay connected; `none`: wait for the peer or for `espalier up`. "
     "`trap`: connect when traffic asks for it; until then a pair costs policies, no SA. With "
     "`--dataplane kernel` only; `espalier simulate` takes it."},
    {kSet, "auth", "word", "`psk`, `cert`", "psk", kYes,
     "`psk`: a key per pair, derived from the mesh secret (whoever holds that can compute all of "
     "them); `cert`: certificates, which keep hosts apart."},
    {kSet, "revocation", "word", "`relaxed`, `ifuri`, `strict`", "relaxed", kYes,
     "What a certificate needs beside its path, by the lists in `x509crl/`, those of its CRL "
     "distribution points and its OCSP responder (over HTTP). `relaxed`: it is not known to be "
     "revoked; `ifuri`: and its status is known, when it says where to ask; `strict`: and its "
     "status is known."},
    {kSet, "ppk", "map or word", "`id`, `secret`, `required`, or `off`", "off", kYes,
     "A post-quantum preshared key (RFC 8784), mixed into the keys beside `auth`, see below. One "
     "for the whole mesh in `defaults` keeps what is recorded today from a later quantum computer, "
     "not the hosts from one another."},
    {kSet, "except", "list", "words, or `{proto, port, side, net}`", "[]", kYes,
     "Traffic left outside IPsec, in both directions, whatever else holds; see below. IKE, ESP and "
     "what keeps the link alive always is."},
    {kSet, "only", "list", "words, or `{proto, port, side, net}`", "[]", kYes,
     "When given: only this traffic of the pair passes, inside IPsec; everything else between the "
     "two is dropped, but for `except`. The same on both sides."},
    {kSet, "proposals", "map", "`ike`, `esp`", "", kYes,
     "Algorithms in strongSwan's words, see below."},
    {kSet, "lifetimes", "map", "`ike`, `child`, `reauth`, `child_bytes`, `child_packets`, `jitter`",
     "", kYes, "When keys are renewed, see below."},
    {kSet, "dpd", "duration", "1s to 1d, or `off`", "30s", kYes,
     "The peer is asked for a sign of life after this much silence."},
    {kSet, "mobike", "switch", "`on`, `off`", "on", kYes,
     "Where the peer can too, SAs follow a host to another address (RFC 4555), and a peer may call "
     "from an address that the inventory does not name. Not in transport mode."},
    {kSet, "fragmentation", "switch", "`on`, `off`", "on", kYes,
     "IKE messages in fragments (RFC 7383), where the peer can too."},
    {kSet, "esn", "switch", "`on`, `off`", "on", kYes,
     "Extended sequence numbers, where both can. A proposal that says `esn` or `noesn` decides for "
     "itself."},
    {kSet, "replay_window", "number", "32 to 4096", "1024", kYes,
     "Packets that may arrive out of order."},
    {kSet, "copy_df", "switch", "`on`, `off`", "on", kYes,
     "A tunnel's outer header has the inner one's \"don't fragment\". `off`, here and in the next "
     "ones what is not the default: with `--dataplane kernel` only."},
    {kSet, "copy_ecn", "switch", "`on`, `off`", "on", kYes,
     "Congestion marks go from header to header (RFC 6040)."},
    {kSet, "copy_dscp", "word", "`out`, `in`, `yes`, `no`", "out", kYes,
     "The traffic class goes to the outer header, from it, both, or neither."},
    {kSet, "set_mark_out", "number", "a mark, or mark/mask, such as `0x42/0xff`", "", kYes,
     "The firewall mark that ESP packets get on their way out. With `--dataplane kernel` only."},
    {kSet, "if_id", "number", "1 to 4294967295, or `0`", "0", kYes,
     "Route-based IPsec: the pair's SAs and policies are about packets that take the xfrm "
     "interface "
     "of this number, see `docs/route-based.md`. Without one, unprotected packets still cannot "
     "come "
     "in; what leaves is what routes say. `%unique` is not supported. With `--dataplane kernel` "
     "only, here and in the next ones."},
    {kSet, "if_id_in", "number", "as `if_id`", "`if_id`", kYes, "... of what arrives."},
    {kSet, "if_id_out", "number", "as `if_id`", "`if_id`", kYes, "... of what leaves."},
    {kSet, "mark", "number", "a mark, or mark/mask, such as `0x42/0xff`", "", kYes,
     "Policies, and the SA on the way out, are about packets with this firewall mark: those of a "
     "VTI "
     "device with this key, or those that the firewall marks. `%unique` is not supported."},
    {kSet, "mark_in", "number", "as `mark`", "`mark`", kYes,
     "... of what arrives, after it is decrypted."},
    {kSet, "mark_out", "number", "as `mark`", "`mark`", kYes, "... of what leaves."},
    {kSet, "interface", "name or map",
     "such as `ipsec0`, or `none`; `name`, `type`, `device`, `mtu`", "none", kYes,
     "A device that the daemon makes, keeps and routes the pair's traffic into, see below. Several "
     "pairs may share an xfrm interface. Needs `if_id`."},
    {kSet, "hw_offload", "word", "`auto`, `yes`, `no`", "no", kNo, "ESP by the network card."},
    {kSet, "encap", "word", "`auto`, `always`, `never`", "auto", kPart,
     "ESP inside UDP (RFC 3948): `auto` where NAT or the dataplane needs it. `never` is not "
     "supported yet."},

    {kSet, "mss_clamp", "number or word", "`auto`, `off`, 536 to 9000", "off", kNo,
     "The MSS of TCP connections through the tunnel, rewritten to fit. `espalier mtu PEER` says "
     "what "
     "fits."},
    {kSet, "childless", "word", "`allow`, `prefer`, `force`, `never`", "allow", kYes,
     "Whether the first ESP SA comes by an exchange of its own, with its own Diffie-Hellman (RFC "
     "6023): `allow` when the peer wants it, `prefer` where the peer can, `force` in any case."},
    {kSet, "resumption", "switch", "`on`, `off`", "off", kYes,
     "A peer that fell silent comes back by a session ticket, without a key exchange and an "
     "authentication (RFC 5723), where both have it on. A ticket is good for a day at most, once, "
     "and only while the other end runs and its credentials stay the same."},

    {Scope::kProposals, "ike", "word or list", "such as `aes256gcm16-prfsha384-x25519`",
     "aes256gcm16-prfsha384-x25519, aes256gcm16-prfsha384-ecp384, "
     "chacha20poly1305-prfsha256-x25519, aes128gcm16-prfsha256-ecp256, aes256-sha384-modp3072",
     kYes, "In order of preference."},
    {Scope::kProposals, "esp", "word or list", "such as `aes256gcm16-x25519`",
     "aes256gcm16, aes128gcm16, chacha20poly1305, aes256-sha256, each with x25519, ecp384, ecp256, "
     "modp3072",
     kYes,
     "In order of preference. A Diffie-Hellman word asks for PFS at every rekey; without one there "
     "is none."},

    {Scope::kProposals, "ah", "word or list", "such as `sha256`", "", kNo,
     "AH (RFC 4302): `esp: null-sha256` authenticates as well, through NAT too."},

    {kLife, "ike", "duration", "1s to 30d", "4h", kYes,
     "The IKE SA is rekeyed before it is this old."},
    {kLife, "child", "duration", "1s to 30d", "1h", kYes,
     "Every ESP SA is rekeyed before it is this old."},
    {kLife, "reauth", "duration", "1m to 30d, or `none`", "none", kYes,
     "The peers authenticate each other anew before this much time has passed, make before break: "
     "a new IKE SA with all its ESP SAs stands before the old one goes."},
    {kLife, "child_bytes", "octets", "1MB or more, or `none`", "none", kYes,
     "... or before it has carried this much."},
    {kLife, "child_packets", "number", "1000 or more, or `none`", "none", kYes,
     "... or this many packets."},
    {kLife, "jitter", "percentage", "0% to 50%", "10%", kYes,
     "Rekeying starts up to this much early, so that a fleet does not rekey at once."},

    {kPpk, "id", "word", "1 to 64 letters, digits, `.`, `-`, `_`, `@`", "", kYes,
     "The key's name, sent to the peer (PPK_ID_FIXED): the same on both sides. Needed."},
    {kPpk, "secret", "file", "`file:NAME`", "", kYes,
     "The key's file below `private/`, at least 32 octets of chance; the same on both sides. "
     "Needed."},
    {kPpk, "required", "switch", "`on`, `off`", "on", kYes,
     "`off`: a peer that has no such key is connected to without it. For the time until every host "
     "has the key."},

    {kService, "proto", "word or number", "`tcp`, `udp`, `icmp`, ..., 1 to 255, or `any`", "any",
     kYes, "`icmp` is ICMPv6 too."},
    {kService, "port", "number or range", "`8140`, `8000-8099`", "all", kYes,
     "Needs a protocol that has ports."},
    {kService, "side", "word", "`local`, `remote`, `either`", "either", kYes,
     "Whose port it is, seen from the host that says it; in `foreign`, from our hosts; in `pairs`, "
     "from the first name of the key. What `defaults` or both hosts say holds at either end."},
    {kService, "net", "network", "prefix", "all", kYes,
     "Only where the address of one end is in this network."},

    {kInterface, "name", "name", "1 to 15 letters, digits, `.`, `-`, `_`", "", kYes, "Needed."},
    {kInterface, "type", "word", "`xfrm`, `vti`", "xfrm", kYes,
     "`xfrm`: an xfrm interface (Linux 4.19), told by its `if_id`. `vti`: for kernels without; it "
     "needs `mark` (its key) instead, and serves one pair between fixed addresses."},
    {kInterface, "device", "name", "of a device", "", kYes,
     "The device that its ESP leaves by. Without: as routes say."},
    {kInterface, "mtu", "number", "1280 to 65000", "", kYes,
     "Octets. Without: what the dearest suite of its pairs leaves of 1500, ESP in UDP."},

    {kHost, "address", "address or list", "IPv4 and IPv6 addresses", "", kYes,
     "Where the host is reached; protected themselves. Needed. DNS names are not supported yet."},
    {kHost, "subnets", "network or list", "prefixes", "[]", kYes,
     "Networks behind the host. No two hosts' overlap."},
    {kHost, "id", "identity", "as strongSwan writes them, see below", "the host's name", kYes,
     "What the host calls itself in IKE."},
    {kHost, "groups", "name or list", "names", "[]", kYes,
     "Groups whose settings hold where the host says nothing itself."},

    {kForeign, "address", "address or list", "IPv4 and IPv6 addresses", "", kYes,
     "Where the peer is reached. May be missing with `nat: true`: then only the peer connects."},
    {kForeign, "subnets", "network or list", "prefixes", "[]", kYes, "Networks behind the peer."},
    {kForeign, "id", "identity", "as strongSwan writes them, with wildcards, see below",
     "the peer's name", kYes, "What the peer calls itself in IKE."},
    {kForeign, "local_id", "identity", "as strongSwan writes them", "the host's own `id`", kYes,
     "What our hosts call themselves towards this peer."},
    {kForeign, "secret", "file", "`file:NAME`", "", kYes,
     "The shared secret's file below `private/`; needed with `auth: psk`."},
    {kForeign, "local_subnets", "network or list", "prefixes", "own addresses and subnets", kYes,
     "What the hosts offer this peer instead of their own addresses and subnets."},
    {kForeign, "nat", "switch", "`on`, `off`", "off", kYes,
     "The peer sits behind NAT: its address is not its own, and only its subnets are protected."},
    {kForeign, "null_auth", "word", "`local`, `remote`, `both`", "", kYes,
     "Who does not prove who it is (NULL authentication, RFC 7619): our hosts, the peer, or both. "
     "`auth` is what the other end does. Whoever reaches the address of an anonymous peer can be "
     "it: give it only what anybody may have."},
    {kForeign, "redirect", "map", "`accept`, `to`, `when`", "", kYes,
     "Being sent to another gateway, and sending the peer to one (RFC 5685), see below."},
    {kForeign, "vendor", "word", "`routeros`, ...", "", kNo,
     "Exporting the peer's side in its own words."},
    {kForeign, "version", "number", "`1`, `2`", "2", kPart,
     "The version of IKE. `1` is not supported yet."},

    {kRedirect, "accept", "network or list", "prefixes", "[]", kYes,
     "Where the peer may redirect our hosts to. In the first exchange nobody has proved anything "
     "yet, so nothing else is followed; without any the peer is told that we do not follow. The "
     "new gateway has the identity and the credentials of this peer."},
    {kRedirect, "to", "address", "an IPv4 or IPv6 address", "", kYes,
     "Where our hosts redirect this peer to when it connects, if it can follow. They do not "
     "connect to it themselves."},
    {kRedirect, "when", "word", "`init`, `auth`", "init", kYes,
     "`init`: at once; `auth`: when the peer has proved who it is."},

    {kManual, "address", "address", "an IPv4 or IPv6 address", "", kYes,
     "Where B is; needed unless B is a host."},
    {kManual, "subnets", "network or list", "prefixes", "B's address", kYes,
     "What is protected behind B, which is no host."},
    {kManual, "local_subnets", "network or list", "prefixes", "A's addresses and subnets", kYes,
     "What A has to do with it."},
    {kManual, "suite", "word", "such as `aes128-sha256`", "aes256-sha256", kYes,
     "CBC with an HMAC. AEADs and counter modes are refused: after a restart they would use a "
     "nonce twice under the same key."},
    {kManual, "mode", "word", "`tunnel`, `transport`", "tunnel", kPart,
     "`transport` needs the kernel dataplane."},
    {kManual, "encap", "word", "`never`, `always`", "never", kPart,
     "ESP inside UDP (RFC 3948), port 4500 on both sides. Nobody negotiates it here: both ends say "
     "the same. `never` needs the kernel dataplane."},
    {kManual, "replay_window", "number or word", "`off`, 32 to 4096", "off", kYes,
     "Of what we receive, and only from a peer that keeps its sequence numbers over its reboots "
     "(RFC "
     "4303 section 3.3.3): from any other everything would be dropped after one, until it has "
     "counted past what it sent before. We start at 1 after a boot, and in userspace after each "
     "restart: keep it off at the peer."},
    {kManual, "overlap", "duration", "1s to 30d", "1h", kYes,
     "How long the keys before still open packets after a change."},
    {kManual, "spi", "number or map", "256 to 4294967295 (0xffffffff), or `{in, out}`", "", kYes,
     "Decimal, or hex with `0x`. One number for both directions, or one for what A receives and "
     "one "
     "for what it sends. Needed, here or in `keys`."},
    {kManual, "secret", "file", "`file:NAME`", "", kYes,
     "The file below `private/` with the keys, as `espalier manual new` prints them. Needed, here "
     "or in `keys`."},
    {kManual, "keys", "list", "of `{spi, secret, from}`", "", kYes,
     "Keys that follow one another, at most 8. All are received with at once; sending changes at "
     "`from`."},
    {Scope::kManualKeys, "from", "time", "such as `2026-12-01T00:00:00Z`", "", kYes,
     "In UTC. Needed for all but the first."},
    {Scope::kManualKeys, "spi", "number or map", "as above", "", kYes, "Needed."},
    {Scope::kManualKeys, "secret", "file", "`file:NAME`", "", kYes, "Needed."},
    {Scope::kManualSpi, "in", "number", "an SPI", "", kYes, "What A receives with, and B sends."},
    {Scope::kManualSpi, "out", "number", "an SPI", "", kYes, "What A sends with, and B receives."},
});

std::string_view title(Scope scope) {
  switch (scope) {
    case Scope::kTop: return "The file";
    case Scope::kSettings:
      return "Settings: in `defaults`, a host, a foreign peer or a `pairs` entry";
    case Scope::kProposals: return "`proposals`";
    case Scope::kLifetimes: return "`lifetimes`";
    case Scope::kPpk: return "`ppk`";
    case Scope::kService: return "An entry of `except` or `only`";
    case Scope::kInterface: return "`interface`";
    case Scope::kHost: return "A host: these, and settings";
    case Scope::kForeign: return "A foreign peer: these, and settings";
    case Scope::kRedirect: return "`redirect`";
    case Scope::kManual: return "`manual`: of a tunnel";
    case Scope::kManualKeys: return "`keys` of a manual tunnel";
    case Scope::kManualSpi: return "`spi` of a manual tunnel";
  }
  return "";
}

std::string_view word(Support support) {
  switch (support) {
    case Support::kHonoured: return "yes";
    case Support::kPartly: return "partly";
    case Support::kNotYet: return "not yet";
  }
  return "";
}

std::string code_if(std::string_view text) {
  return text.empty() ? std::string() : "`" + std::string(text) + "`";
}

std::string words_of_services() {
  std::string out = "The words of `except` and `only`:";
  for (const policy::ServiceWord& one : policy::service_words()) {
    out += (&one == &policy::service_words().front() ? " `" : ", `") + std::string(one.word) +
           "` (" + std::string(one.what) + ")";
  }
  return out +
         ". A port stands at either end. The VPNs among them are for a migration: an old VPN's "
         "own packets inside IPsec would be protected twice.\n";
}

}  // namespace

std::span<const SchemaKey> schema() { return kSchema; }

const SchemaKey* find_key(Scope scope, std::string_view key) {
  const auto found = std::find_if(kSchema.begin(), kSchema.end(), [&](const SchemaKey& row) {
    return row.scope == scope && row.key == key;
  });
  return found == kSchema.end() ? nullptr : &*found;
}

void check_keys(const YamlNode& map, std::initializer_list<Scope> scopes,
                Diagnostics& diagnostics) {
  for (const YamlEntry& entry : map.entries) {
    const SchemaKey* row = nullptr;
    for (const Scope scope : scopes) {
      if (row == nullptr) row = find_key(scope, entry.key);
    }
    const std::string quoted = "the key '" + entry.key.substr(0, 80) + "'";
    if (row == nullptr) {
      std::vector<std::string_view> known;
      for (const SchemaKey& candidate : kSchema) {
        if (std::find(scopes.begin(), scopes.end(), candidate.scope) == scopes.end()) continue;
        if (candidate.support != Support::kNotYet) known.push_back(candidate.key);
      }
      diagnostics.bad(entry.at, quoted + " is unknown" + suggestion(entry.key, known));
    } else if (row->support == Support::kNotYet) {
      diagnostics.unsupported(entry.at, quoted);
    }
  }
}

std::string describe_schema() {
  std::string out =
      "# mesh.yaml\n\n"
      "<!-- Generated from src/config/schema.cpp; a test compares. -->\n\n"
      "Durations have a unit: `500ms`, `30s`, `5m`, `4h`, `1d`. Switches are `on`, `off`, `true`, "
      "`false`. "
      "A list of one may be written without brackets. Keys are written once; anchors, aliases, "
      "merge keys and "
      "tags are refused, and so are numbers with a leading zero. What is not supported yet is an "
      "error, never "
      "ignored.\n\n"
      "Which setting a pair gets: that of its `pairs` entry, else of the foreign peer, else of the "
      "host, else of its groups, else of "
      "`defaults`. Two groups of a host that say different things are an error unless the host "
      "decides. `start`, `dpd`, `lifetimes`, `mobike`, `fragmentation`, `revocation`, "
      "`replay_window` "
      "and `encap` of a "
      "host are "
      "about what that host does. `mode`, `protect`, `except`, `only`, `auth`, `ppk`, `proposals` "
      "and `esn` are what "
      "two hosts have to "
      "agree "
      "on: one that a "
      "host says holds at both ends of its pairs, and two hosts that say different things need a "
      "`pairs` "
      "entry.\n\n"
      "Addresses and networks: no address twice, no overlapping networks of two hosts, no host's "
      "address "
      "inside another's network (traffic to it would have two ways). A host's address may lie in "
      "its own "
      "network: that is a gateway. Any two hosts have an address "
      "family in common.\n\n"
      "An identity is a name (`gw.example.net`), an email address (`a@example.net`), an address, a "
      "distinguished name (`CN=gw.example.net, O=Example, C=DE`, in the order of the certificate) "
      "or a key id in hex (`@#0a1b`); `fqdn:`, `email:`, `ipv4:`, `ipv6:`, `asn1dn:` and `keyid:` "
      "in front say the type. A foreign peer's may be a wildcard: `*.example.net` (any number of "
      "labels), `*@example.net`, `*` as the whole value of attributes of a distinguished name "
      "(`CN=*, O=Example`), or `%any`. An exact identity is looked for first, then the pattern "
      "with the longest domain or the fewest `*`, then `%any`. A wildcard lets one peer in at a "
      "time, whoever comes first: an entry is one pair.\n\n" +
      words_of_services();
  for (const Scope scope :
       {Scope::kTop, Scope::kSettings, Scope::kProposals, Scope::kLifetimes, Scope::kPpk,
        Scope::kService, Scope::kInterface, Scope::kHost, Scope::kForeign, Scope::kRedirect,
        Scope::kManual, Scope::kManualKeys, Scope::kManualSpi}) {
    out += "\n## " + std::string(title(scope)) + "\n\n";
    out += "| key | type | values | default | supported | |\n|---|---|---|---|---|---|\n";
    for (const SchemaKey& row : kSchema) {
      if (row.scope != scope) continue;
      out += "| `" + std::string(row.key) + "` | " + std::string(row.type) + " | " +
             std::string(row.values) + " | " + code_if(row.default_value) + " | " +
             std::string(word(row.support)) + " | " + std::string(row.help) + " |\n";
    }
  }
  return out;
}

}  // namespace espalier::config
