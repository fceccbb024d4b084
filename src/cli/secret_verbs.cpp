// The verbs that make and derive secrets. They go to standard output and nowhere else.
#include <fmt/format.h>

#include "base/bytes.hpp"
#include "cli/verb.hpp"

namespace espalier::cli {
namespace {

constexpr std::size_t kSecretOctets = 32;

}  // namespace

int run_secret_new(Call& call) {
  const auto secret = call.env.random(kSecretOctets);
  if (!secret) return fail(call.env, secret.error());
  call.env.out(fmt::format("0s{}\n", to_base64(secret->reveal())));
  return kDone;
}

}  // namespace espalier::cli
