// Any bytes as mesh.yaml: faults or an inventory, never both, never a crash.
#include <cstddef>
#include <cstdint>

#include "base/assert.hpp"
#include "config/inventory.hpp"
#include "config/limits.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace espalier;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const config::LoadOutcome outcome = config::load_inventory(text, "mesh.yaml");
  ASSERT(outcome.ok() == outcome.diagnostics.empty());
  ASSERT(outcome.diagnostics.size() <= config::kMaxDiagnostics);
  for (const config::Diagnostic& d : outcome.diagnostics) {
    ASSERT(!d.message.empty() && d.line > 0 && d.column > 0);
  }
  if (outcome.ok()) {
    const config::Inventory& inventory = *outcome.inventory;
    for (const config::Host& host : inventory.hosts) {
      ASSERT(!host.addresses.empty());
      for (const config::Foreign& peer : inventory.foreign) {
        (void)inventory.settings_between(host.name, peer.name);
      }
    }
  }
  return 0;
}
