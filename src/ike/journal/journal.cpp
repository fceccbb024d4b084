#include "ike/journal/journal.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/prf.hpp"
#include "ike/core/limits.hpp"
#include "ike/journal/fields.hpp"
#include "ike/v2/lifecycle.hpp"

namespace espalier::ike::journal {
namespace {

using v2::IkeSa;
using v2::IkeState;

// The SPIs that the SA has set aside or uses, and those of its children.
void enter(Core& core, const IkeSa& sa) {
  for (const v2::ChildSa& child : sa.children) {
    const ChildSaSpec& spec = child.spec;
    core.inbound_spis[spec.spi_in] = sa.local_spi();
    core.outbound_spis.insert({spec.spi_out, spec.spi_in});
    ReqIdEntry& entry = core.reqids[v2::reqid_key(spec)];
    entry.id = spec.reqid;
    ++entry.users;
    core.last_reqid = std::max(core.last_reqid, spec.reqid.value - kReqIdFirst + 1);
  }
  const auto set_aside = [&](Spi spi) {
    if (spi.value != 0) core.inbound_spis.emplace(spi, IkeSpi());
  };
  const auto orphan = [&](const v2::Task& task) {
    if (task.orphan) core.inbound_spis[task.child] = sa.local_spi();
  };
  if (sa.active) {
    set_aside(sa.active->new_spi);
    orphan(sa.active->task);
    if (sa.active->new_ike_spi.value != 0) core.spis_to_be.insert(sa.active->new_ike_spi);
  }
  if (sa.pending) set_aside(sa.pending->spi);
  for (const v2::Task& task : sa.tasks) orphan(task);
}

// The peer is told once. It may not hear it: then it finds out as after a reboot (RFC 6290).
void say_goodbye(Context& ctx, IkeSa& sa) {
  if (sa.state != IkeState::kEstablished) return;
  v2::send_unacknowledged(ctx, sa, wire::ike::ExchangeType::kInformational,
                          {wire::ike::DeletePayload{}});
}

// False: it ended here.
bool take_in(Context& ctx, Record record) {
  Core& core = ctx.core;
  const auto found = core.pairs.find(record.connection);
  const bool same = found != core.pairs.end() && found->second.mark == record.mark;
  if (!same) {
    say_goodbye(ctx, record.sa);
    return false;
  }
  Pair& pair = found->second;
  const IkeSpi local = record.sa.local_spi();
  record.sa.connection = pair.connection;
  IkeSa& sa = ctx.add(std::move(record.sa));
  if (sa.state == IkeState::kFailed) return true;  // it belongs to nobody any more
  enter(core, sa);
  pair.sas.insert(local);
  if (record.holder) pair.holder = std::move(record.holder);
  if (sa.state == IkeState::kEstablished) {
    pair.up = true;  // the supervisor says so if it is not
    pair.retry_at.reset();
  }
  ctx.touch(record.connection);
  return true;
}

}  // namespace

Keep keep(const IkeSa& sa) {
  // One that is gone and repeats its last response counts too; a handshake that failed does not.
  const bool buried = sa.state == IkeState::kFailed && !sa.if_handshake();
  if (sa.state != IkeState::kEstablished && sa.state != IkeState::kReplaced &&
      sa.state != IkeState::kDeleting && !buried) {
    return Keep::kNothing;
  }
  return sa.job.value != 0 || sa.responding ? Keep::kAsBefore : Keep::kRecord;
}

Bytes connection_mark(const policy::Connection& connection) {
  Save out;
  out(what_sas_rest_on(connection));
  const SecretBytes octets(out.take());
  return crypto::sha256({octets.reveal()});
}

SecretBytes save(const Core& core, const IkeSa& sa) {
  ASSERT(sa.connection);
  const auto found = core.pairs.find(sa.connection->name);
  const Pair* pair = found == core.pairs.end() ? nullptr : &found->second;
  // An SA that is closed because its connection changed has the one from before.
  const bool current = pair != nullptr && pair->connection.ptr == sa.connection.ptr;
  Save out;
  out(sa.connection->name, current ? pair->mark : connection_mark(*sa.connection), sa);
  const bool holds = pair != nullptr && pair->sas.contains(sa.local_spi());
  out(holds ? pair->holder : Box<policy::Identity>());
  return SecretBytes(out.take());
}

Result<Record> load(ByteView octets) {
  Load in(octets);
  Record record;
  in(record.connection, record.mark, record.sa, record.holder);
  if (!in.whole() || keep(record.sa) == Keep::kNothing) {
    return make_error(ErrorCode::kMalformed, "the journal has a record that makes no sense");
  }
  return record;
}

Restored restore(Context& ctx, const std::vector<SecretBytes>& records) {
  ASSERT(ctx.core.settings.journal && ctx.core.sas.empty());
  Restored restored;
  for (const SecretBytes& octets : records) {
    auto record = load(octets.reveal());
    if (!record || ctx.core.sas.contains(record->sa.local_spi())) {
      ++restored.unreadable;
    } else if (take_in(ctx, std::move(*record))) {
      ++restored.kept;
    } else {
      ++restored.changed;
    }
  }
  return restored;
}

}  // namespace espalier::ike::journal
