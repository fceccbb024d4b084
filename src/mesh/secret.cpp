#include "mesh/secret.hpp"

#include <algorithm>
#include <vector>

#include "config/words.hpp"
#include "crypto/pair_key.hpp"
#include "mesh/limits.hpp"

namespace espalier::mesh {
namespace {

Error bad(std::string message) { return make_error(ErrorCode::kBadInput, std::move(message)); }

// One pattern over and over: "aaaaaaaaaaaaaaaa", "secretsecretsecret". A last repetition may be cut
// short.
bool repeats(ByteView s) {
  for (std::size_t period = 1; period <= s.size() / 2; ++period) {
    if (std::equal(s.begin() + static_cast<std::ptrdiff_t>(period), s.end(), s.begin()))
      return true;
  }
  return false;
}

// "0123456789abcdef", 00 01 02 ...: nearly every step the same.
bool is_sequence(ByteView s) {
  std::size_t best = 0;
  for (const int step : {1, -1, 2, 16, 17}) {
    std::size_t same = 0;
    for (std::size_t i = 1; i < s.size(); ++i) {
      if (static_cast<std::uint8_t>(s[i - 1] + step) == s[i]) ++same;
    }
    best = std::max(best, same);
  }
  return s.size() > 1 && best * 8 >= (s.size() - 1) * 7;
}

bool few_characters(ByteView s) {
  std::vector<std::uint8_t> distinct(s.begin(), s.end());
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  return distinct.size() < 6;
}

// Words that manuals and tutorials use for secrets. Shorter ones are refused for their length; here
// a longer secret is looked at for whether it is nothing but such words.
constexpr std::string_view kExamples[] = {
    "thisisasecret",
    "thisisnotasecret",
    "correcthorsebatterystaple",
    "changeme",
    "changethis",
    "replaceme",
    "badpassword",
    "password",
    "passphrase",
    "presharedkey",
    "presharedsecret",
    "psk",
    "mysecret",
    "supersecret",
    "topsecret",
    "verysecret",
    "secret",
    "mesh",
    "ipsec",
    "strongswan",
    "libreswan",
    "espalier",
    "example",
    "test",
    "letmein",
    "qwerty",
    "admin",
    "vpn",
    "key",
    "my",
    "the",
    "please",
    "not",
    "this",
    "is",
    "a",
    "123456789012345678",
    "1234567890",
    "12345678",
    "1234",
    "123",
    "0",
    "1",
    "2",
    "3",
};

// Letters and digits only, lower case, so that punctuation does not make an example a secret.
std::string plain(ByteView s) {
  std::string out;
  for (const std::uint8_t octet : s) {
    const char c = static_cast<char>(octet);
    if (c >= 'A' && c <= 'Z') out += static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
  }
  return out;
}

// Whether the text is a row of example words. reachable[i]: the first i characters are.
bool only_examples(ByteView s) {
  std::string text = plain(s);
  const bool mostly_text = text.size() * 2 >= s.size() && !text.empty();
  std::vector<bool> reachable(text.size() + 1);
  reachable[0] = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!reachable[i]) continue;
    for (const std::string_view word : kExamples) {
      if (text.compare(i, word.size(), word) == 0) reachable[i + word.size()] = true;
    }
  }
  const bool found = mostly_text && reachable[text.size()];
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return found;
}

// What is wrong with the secret, as the end of a sentence; empty if nothing is seen.
std::string weakness(const SecretBytes& secret) {
  const ByteView s = secret.reveal();
  if (s.size() < kMinMeshSecretOctets) {
    return "has " + std::to_string(s.size()) + " octets; it needs at least " +
           std::to_string(kMinMeshSecretOctets) + " random ones";
  }
  if (repeats(s)) return "repeats one pattern";
  if (few_characters(s)) return "has fewer than six different characters";
  if (is_sequence(s)) return "is a plain sequence";
  if (only_examples(s)) return "is made of words that manuals use as examples";
  return {};
}

const policy::Identity* identity_of(const config::Inventory& inventory, std::string_view name) {
  if (const config::Host* host = inventory.find_host(name)) return &host->id;
  if (const config::Foreign* peer = inventory.find_foreign(name)) return &peer->id;
  return nullptr;
}

}  // namespace

Result<SecretBytes> parse_secret(std::string_view text) {
  if (text.size() > kMaxSecretFileOctets)
    return bad("the secret file is too long to hold one secret");
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  if (text.find('\n') != std::string_view::npos) {
    return bad(
        "the secret file has more than one line; it is one line with the secret and nothing else");
  }
  if (text.empty()) return bad("the secret file is empty");
  const std::string_view prefix = text.substr(0, 2);
  if (prefix != "0x" && prefix != "0s") return SecretBytes(as_bytes(text));
  // The decoders' own errors may quote what they could not read.
  auto decoded = prefix == "0x" ? from_hex(text.substr(2)) : from_base64(text.substr(2));
  if (!decoded) {
    return bad(prefix == "0x" ? "the secret file starts with 0x, but what follows is no hex"
                              : "the secret file starts with 0s, but what follows is no base64");
  }
  if (decoded.value().empty()) return bad("the secret file has nothing after its prefix");
  return SecretBytes(std::move(decoded).value());
}

Status check_mesh_secret(const SecretBytes& secret) {
  const std::string why = weakness(secret);
  if (why.empty()) return {};
  return bad("the mesh secret " + why +
             "; make one with 'espalier secret new' and give it to every host as "
             "private/mesh.secret");
}

std::string foreign_secret_warning(const SecretBytes& secret) { return weakness(secret); }

std::string PeerSecret::text() const { return "0x" + to_hex(key.reveal()); }

Result<PeerSecret> pair_secret(const config::Inventory& inventory, std::string_view self,
                               std::string_view peer, const SecretBytes& mesh_secret) {
  for (const std::string_view name : {self, peer}) {
    if (identity_of(inventory, name) != nullptr) continue;
    std::vector<std::string_view> names;
    for (const config::Host& host : inventory.hosts) names.push_back(host.name);
    for (const config::Foreign& other : inventory.foreign) names.push_back(other.name);
    return make_error(ErrorCode::kNotFound, "the inventory has no '" + std::string(name) + "'" +
                                                config::suggestion(name, names));
  }
  if (self == peer) {
    return make_error(ErrorCode::kInvalidArgument,
                      "'" + std::string(self) + "' is this host itself; a pair needs two");
  }
  TRY(check_mesh_secret(mesh_secret));
  const std::string own_id = to_text(identity_of(inventory, self)->data);
  const std::string peer_id = to_text(identity_of(inventory, peer)->data);
  return PeerSecret{std::string(self), std::string(peer),
                    crypto::derive_pair_key(mesh_secret.reveal(), inventory.mesh, own_id, peer_id)};
}

}  // namespace espalier::mesh
