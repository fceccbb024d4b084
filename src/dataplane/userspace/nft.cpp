#include "dataplane/userspace/nft.hpp"

#include <fmt/format.h>
#include <nftables/libnftables.h>

#include <cstdlib>
#include <memory>
#include <set>

#include "dataplane/userspace/host_setup.hpp"

namespace espalier::dataplane::userspace {
namespace {

ErrorCode classify(const std::string& words) {
  const auto says = [&](const char* text) { return words.find(text) != std::string::npos; };
  if (says("Operation not permitted") || says("must be root")) return ErrorCode::kPermission;
  if (says("No such file or directory")) return ErrorCode::kNotFound;
  if (says("Operation not supported") || says("Protocol not supported"))
    return ErrorCode::kUnsupported;
  return ErrorCode::kSystem;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find_first_of("\r\n"));
}

// The generations that the table's chains and sets carry; empty without a table.
Result<std::set<unsigned>> generations() {
  auto listing = run_nft(fmt::format("list table inet {}\n", kNftTable));
  if (!listing) {
    if (listing.error().code == ErrorCode::kNotFound) return std::set<unsigned>{};
    return std::move(listing).error();
  }
  std::set<unsigned> found;
  for (const std::string_view noun : {"chain outside_", "set protected4_"}) {
    for (auto at = listing->find(noun); at != std::string::npos; at = listing->find(noun, at + 1)) {
      const unsigned long number = std::strtoul(listing->c_str() + at + noun.size(), nullptr, 10);
      found.insert(static_cast<unsigned>(number));
    }
  }
  return found;
}

std::string removal(unsigned generation) {
  // Hooked chains first: they hold references to the rest.
  std::string text;
  for (const char* noun :
       {"chain inet {} arriving_{}", "chain inet {} own_{}", "chain inet {} leaving_{}",
        "chain inet {} except_in_{}", "chain inet {} except_out_{}", "chain inet {} outside_{}",
        "set inet {} protected4_{}", "set inet {} protected6_{}"}) {
    // `add` creates what is missing, so that the deletion of a half cannot fail.
    const bool set = noun[0] == 's';
    const bool v4 = set && std::string_view(noun).find('4') != std::string_view::npos;
    const std::string name = fmt::format(fmt::runtime(noun), kNftTable, generation);
    if (!set) text += fmt::format("add {}\nflush {}\ndelete {}\n", name, name, name);
    if (set) {
      text += fmt::format("add {} {{ type {} . {}; flags interval; }}\ndelete {}\n", name,
                          v4 ? "ipv4_addr" : "ipv6_addr", v4 ? "ipv4_addr" : "ipv6_addr", name);
    }
  }
  return text;
}

}  // namespace

Result<std::string> run_nft(const std::string& commands) {
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context(nft_ctx_new(NFT_CTX_DEFAULT),
                                                             nft_ctx_free);
  if (!context || nft_ctx_buffer_output(context.get()) != 0 ||
      nft_ctx_buffer_error(context.get()) != 0) {
    return make_error(
        ErrorCode::kSystem,
        "libnftables cannot be used: it gave no context (is this process short of memory?).");
  }
  nft_ctx_output_set_flags(context.get(), NFT_CTX_OUTPUT_TERSE | NFT_CTX_OUTPUT_STATELESS);
  if (nft_run_cmd_from_buffer(context.get(), commands.c_str()) != 0) {
    const char* words = nft_ctx_get_error_buffer(context.get());
    const std::string text = words != nullptr ? words : "";
    return make_error(classify(text), first_line(text));
  }
  const char* output = nft_ctx_get_output_buffer(context.get());
  return std::string(output != nullptr ? output : "");
}

// Why two transactions. Within one, the kernel switches rules first and the contents of interval
// sets a moment later (nf_tables_commit: the generation turns before nft_set_commit_update), and a
// packet that passes an old and a new chain may meet each in the generation in which it is empty.
// So the new chains and sets are added beside the old, and only when that transaction is committed
// do the old ones go. In between both judge, and a packet passes only if both let it.
Status apply_protection(const HostNetwork& network) {
  const auto explain = [](const Error& error, const char* step) {
    std::string next = ".";
    if (error.code == ErrorCode::kPermission) next = ". CAP_NET_ADMIN is needed: run as root.";
    if (error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kNotFound) {
      next =
          ". The kernel needs nf_tables with fib and sets of concatenated intervals (Linux 5.6).";
    }
    return make_error(error.code,
                      fmt::format("Protection could not be {} (nftables table inet {}): {}{}", step,
                                  kNftTable, error.message, next));
  };
  auto before = generations();
  if (!before) return explain(before.error(), "read");
  const unsigned next = before->empty() ? 1 : *before->rbegin() + 1;
  if (auto added = run_nft(protection_ruleset(network, next)); !added) {
    return explain(added.error(), "put in place");
  }
  std::string removals;
  for (const unsigned generation : *before) removals += removal(generation);
  if (removals.empty()) return {};
  if (auto removed = run_nft(removals); !removed)
    return explain(removed.error(), "cleared of its old rules");
  return {};
}

Result<bool> remove_protection() {
  auto removed = run_nft(fmt::format("delete table inet {}\n", kNftTable));
  if (removed) return true;
  if (removed.error().code == ErrorCode::kNotFound) return false;
  return make_error(removed.error().code,
                    fmt::format("The nftables table inet {} could not be removed: {}.", kNftTable,
                                removed.error().message));
}

}  // namespace espalier::dataplane::userspace
