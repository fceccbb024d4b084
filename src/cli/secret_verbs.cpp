// The verbs that make and derive secrets. They go to standard output and nowhere else.
#include <fmt/format.h>

#include "base/bytes.hpp"
#include "cli/inventory_file.hpp"
#include "cli/verb.hpp"
#include "mesh/limits.hpp"
#include "mesh/plan.hpp"
#include "mesh/secret.hpp"

namespace espalier::cli {
namespace {

constexpr std::size_t kSecretOctets = 32;

Result<SecretBytes> read_secret(Environment& env, const std::string& path) {
  TRY(env.check_private(path));
  TRY_ASSIGN(std::string text, env.read_file(path, mesh::kMaxSecretFileOctets));
  auto secret = mesh::parse_secret(text);
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  if (secret) return secret;
  return make_error(secret.error().code, fmt::format("{}: {}", path, secret.error().message));
}

Result<std::string> pair_key_text(Call& call) {
  const std::string path = call.config + "/mesh.yaml";
  TRY_ASSIGN(const config::LoadOutcome outcome, read_inventory(call.env, path));
  if (!outcome.ok()) return config::to_error(outcome.diagnostics);
  const config::Inventory& inventory = *outcome.inventory;
  TRY_ASSIGN(const std::string self, chosen_self(call, inventory));
  const std::string& peer = call.words().front();
  const config::Foreign* foreign = inventory.find_foreign(peer);
  if (foreign != nullptr && foreign->secret_file) {
    return make_error(ErrorCode::kNotFound,
                      fmt::format("{} does not use the mesh secret: its secret is {}/private/{}.",
                                  peer, call.config, *foreign->secret_file));
  }
  TRY_ASSIGN(const SecretBytes secret, read_secret(call.env, call.config + "/private/mesh.secret"));
  TRY_ASSIGN(const mesh::PeerSecret key, mesh::pair_secret(inventory, self, peer, secret));
  return key.text();
}

}  // namespace

int run_secret_new(Call& call) {
  const auto secret = call.env.random(kSecretOctets);
  if (!secret) return fail(call.env, secret.error());
  call.env.out(fmt::format("0s{}\n", to_base64(secret->reveal())));
  return kDone;
}

int run_secret_pair(Call& call) {
  const auto text = pair_key_text(call);
  if (!text) return fail(call.env, text.error());
  call.env.out(*text + "\n");
  return kDone;
}

}  // namespace espalier::cli
