#include "cli/inventory_file.hpp"

#include "config/limits.hpp"
#include "mesh/plan.hpp"

namespace espalier::cli {
namespace {

// The plan does not depend on what the credentials hold, only on their being there; check is about
// the inventory. Chance stands in for them, so that no key of the check could ever be one in use.
Result<mesh::Credentials> stand_ins(Environment& env,
                                    const std::vector<mesh::RequiredFile>& files) {
  mesh::Credentials out;
  out.stand_ins = true;
  TRY_ASSIGN(out.mesh_secret, env.random(32));
  for (const auto& file : files) {
    using Kind = mesh::RequiredFile::Kind;
    if (file.kind == Kind::kForeignSecret) {
      TRY_ASSIGN(out.foreign_secrets[file.name], env.random(32));
    }
    if (file.kind == Kind::kCertificate) out.certificates = {{file.path, "", {Bytes{0}}}};
    if (file.kind == Kind::kPpk) {
      TRY_ASSIGN(out.ppks[file.name], env.random(32));
    }
    if (file.kind == Kind::kAnchors) out.anchors = {Bytes{0}};
  }
  return out;
}

}  // namespace

Result<config::LoadOutcome> read_inventory(Environment& env, const std::string& path,
                                           config::Features accepts) {
  auto text = env.read_file(path, config::kMaxFileOctets);
  if (!text) return make_error(ErrorCode::kBadInput, text.error().message);
  return config::load_inventory(*text, path, accepts);
}

Result<std::string> chosen_self(Call& call, const config::Inventory& inventory) {
  if (call.has("--self")) return mesh::named_self(inventory, call.options.get("--self", ""));
  return mesh::find_self(inventory, call.env.host_name(), call.env.own_addresses());
}

Result<mesh::HostPlan> plan_with_stand_ins(Call& call, const config::Inventory& inventory,
                                           std::vector<mesh::RequiredFile>* files) {
  TRY_ASSIGN(const std::string self, chosen_self(call, inventory));
  const std::vector<mesh::RequiredFile> needed = mesh::required_files(inventory, self);
  TRY_ASSIGN(const mesh::Credentials credentials, stand_ins(call.env, needed));
  if (files != nullptr) *files = needed;
  return mesh::compile(inventory, self, credentials);
}

}  // namespace espalier::cli
