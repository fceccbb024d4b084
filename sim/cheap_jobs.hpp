// Slow cryptography that is not slow, for simulations only: a "Diffie-Hellman" of the right sizes
// whose secret anybody could compute. The daemon does not link this room. Deterministic: everything
// comes from the Rng.
#pragma once

#include "ike/core/jobs.hpp"

namespace espalier::sim {

// As ike::run_job(); what it has no cheap form of is done by that.
ike::JobResult run_cheap_job(const ike::Job& job, crypto::Rng& rng, const ike::KeyStore& keys,
                             std::int64_t now_utc);

}  // namespace espalier::sim
