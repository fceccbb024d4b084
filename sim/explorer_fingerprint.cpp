// A state without its random octets: SPIs, nonces, Diffie-Hellman values and keys become numbers in
// the order in which they are met, message IDs count from what the receiver expects, times from
// now, rounded so that steps do not matter. Whatever decides how the engines go on must be in here;
// Budget::check_merges looks whether it is.
#include <algorithm>
#include <map>

#include "ike/core/limits.hpp"
#include "sim/explorer_state.hpp"

namespace espalier::sim {
namespace {

using ike::v2::IkeSa;
using wire::ike::ProtocolId;

enum class Kind : std::uint8_t { kIkeSpi, kSpi, kReqId, kOctets };

class Canon {
 public:
  explicit Canon(const PairState& state) : state_(state) {}
  Fingerprint of();

 private:
  void put(std::uint64_t value) {
    a_ = (a_ ^ value) * 0x9fb21c651e98df25u;
    a_ ^= a_ >> 32;
    b_ = (b_ + value + 0x632be59bd9b4e019u) * 0xd6e8feb86659fd93u;
    b_ ^= b_ >> 29;
  }
  void mark(char what) { put(static_cast<std::uint64_t>(what) | 0x4d00u); }
  void id(Kind kind, std::uint64_t value) {
    if (value == 0) return put(0);
    const auto [entry, fresh] = names_.try_emplace({kind, value}, names_.size() + 1);
    put(entry->second);
  }
  void id(IkeSpi spi) { id(Kind::kIkeSpi, spi.value); }
  void id(Spi spi) { id(Kind::kSpi, spi.value); }
  // Each end counts its own.
  void id(ReqId reqid) { id(Kind::kReqId, end_ << 32 | reqid.value); }
  void id(ByteView octets) {
    if (octets.empty()) return put(0);
    std::uint64_t hash = octets.size();
    for (const std::uint8_t octet : octets) hash = (hash ^ octet) * 0x100000001b3u;
    id(Kind::kOctets, hash);
  }
  void nonce(const Bytes& octets) {
    id(octets);
    if (octets.empty()) return;
    if (std::find(nonces_.begin(), nonces_.end(), octets) == nonces_.end())
      nonces_.push_back(octets);
  }
  void text(std::string_view words) {
    put(words.size());
    for (const char letter : words) put(static_cast<std::uint64_t>(letter));
  }
  // Rounded, so that the microseconds of steps do not count; what is far away is only that.
  void when(Instant at) {
    if (at == Instant()) return put(0);  // never set
    const Duration left = at - state_.now() + 500us;
    if (left < Duration(0)) return put(1);
    if (left > 45s) return put(2);
    put(16 + static_cast<std::uint64_t>(left / 1ms));
  }
  void when(const std::optional<Instant>& at) { at ? when(*at) : put(0); }
  // Of a moment that is only looked at: what is past is past.
  void coming(Instant at) { at <= state_.now() ? put(0) : when(at); }
  void message_id(const wire::ike::Header& header, MessageId id);
  void end(const ExplorerEnd& end);
  void pairs(const ike::Core& core);
  void sa(const ike::Core& core, const IkeSa& sa);
  void exchange(const IkeSa& sa);
  void task(const ike::v2::Task& task);
  void child(const ike::v2::ChildSa& child);
  void message(const wire::ike::Message& message);
  void payload(const wire::ike::Payload& payload);
  void letter(const Letter& letter, bool name_all);
  std::uint64_t shape(const Letter& letter) const;

  const PairState& state_;
  std::uint64_t a_ = 0x243f6a8885a308d3u, b_ = 0x13198a2e03707344u;
  std::map<std::pair<Kind, std::uint64_t>, std::uint64_t> names_;
  std::vector<Bytes> nonces_;
  std::uint64_t end_ = 0;  // the one that is being put
};

// Relative to what the requester will send next.
void Canon::message_id(const wire::ike::Header& header, MessageId id) {
  const bool by_initiator = header.from_initiator() != header.is_response();
  std::int64_t base = 0;
  bool found = false;
  for (const ExplorerEnd& end : state_.ends()) {
    for (const IkeSpi spi : {header.spi_i, header.spi_r}) {
      const auto sa = end.engine.core().sas.find(spi);
      if (sa == end.engine.core().sas.end() || sa->second.spi_i != header.spi_i) continue;
      const bool requester = (sa->second.role == ike::v2::Role::kInitiator) == by_initiator;
      if (!found || requester) {
        base = requester ? sa->second.next_request.value : sa->second.expected_request.value;
      }
      found = true;
    }
  }
  const std::int64_t distance = found ? std::int64_t{id.value} - base : id.value;
  put(static_cast<std::uint64_t>(std::clamp<std::int64_t>(distance, -4, 4) + 8));
}

void Canon::payload(const wire::ike::Payload& payload) {
  put(static_cast<std::uint64_t>(wire::ike::type_of(payload)));
  const auto spi = [&](const Bytes& octets) {
    Reader reader(octets);
    if (octets.size() == 4) return id(Spi(reader.u32().value()));
    if (octets.size() == 8) return id(IkeSpi(reader.u64().value()));
    put(octets.size());
  };
  if (const auto* sa = std::get_if<wire::ike::SaPayload>(&payload)) {
    for (const auto& proposal : sa->proposals) spi(proposal.spi);
  } else if (const auto* ke = std::get_if<wire::ike::KePayload>(&payload)) {
    put(ke->group);
    id(ke->data);
  } else if (const auto* fresh = std::get_if<wire::ike::NoncePayload>(&payload)) {
    nonce(fresh->data);
  } else if (const auto* notify = std::get_if<wire::ike::NotifyPayload>(&payload)) {
    put(static_cast<std::uint64_t>(notify->type));
    spi(notify->spi);
    // NAT detection's octets are chance and say the same in each message.
    if (notify->data.size() <= 8) text(to_text(notify->data));
  } else if (const auto* gone = std::get_if<wire::ike::DeletePayload>(&payload)) {
    put(static_cast<std::uint64_t>(gone->protocol));
    for (const Spi each : gone->spis) id(each);
  }
}

void Canon::message(const wire::ike::Message& message) {
  put(static_cast<std::uint64_t>(message.header.exchange));
  put(message.header.flags);
  id(message.header.spi_i);
  id(message.header.spi_r);
  message_id(message.header, message.header.message_id);
  put(message.payloads.size());
  for (const auto& each : message.payloads) payload(each);
}

void Canon::task(const ike::v2::Task& task) {
  put(static_cast<std::uint64_t>(task.kind));
  id(task.child);
  text(task.child_name);
  when(task.not_before);
  put(task.local_ts.size() + 256 * task.quick + 512 * task.orphan);
}

void Canon::exchange(const IkeSa& sa) {
  mark('x');
  if (sa.outstanding) {
    put(static_cast<std::uint64_t>(sa.outstanding->exchange));
    put(sa.outstanding->sent);
    when(sa.outstanding->resend_at);
    put(sa.outstanding->quick);
  }
  mark('r');
  put(sa.last_response ? sa.last_response->id.value + 1 == sa.expected_request.value : 2);
  // Sealed, it is known by its length: what a repeated request is answered with.
  put(sa.last_response ? sa.last_response->packets.front().size() : 0);
  put(sa.tasks.size());
  for (const auto& each : sa.tasks) task(each);
  mark('a');
  if (!sa.active) return;
  const ike::v2::ActiveTask& active = *sa.active;
  task(active.task);
  nonce(active.nonce);
  nonce(active.peer_nonce);
  id(active.new_spi);
  id(active.new_ike_spi);
  id(active.dh.public_key);
  put(active.group_retries);
  if (active.collision) {
    nonce(active.collision->lowest_nonce);
    id(active.collision->child);
    id(active.collision->ike);
  }
  mark('d');
  for (const Spi spi : active.deleted_by_peer) id(spi);
}

void Canon::child(const ike::v2::ChildSa& child) {
  mark('c');
  id(child.spec.spi_in);
  id(child.spec.spi_out);
  id(child.spec.reqid);
  put(static_cast<std::uint64_t>(child.state));
  put(child.outbound_installed);
  put(child.initiator);
  put(state_.now() - child.installed_at < ike::kCrossingTime);
  if (!child.outbound_installed) when(child.installed_at);
  when(child.rekey_at);
  when(child.expire_at);
  id(child.successor.value_or(Spi()));
  id(child.predecessor.value_or(Spi()));
}

void Canon::sa(const ike::Core& core, const IkeSa& sa) {
  mark('s');
  put(static_cast<std::uint64_t>(sa.role));
  put(static_cast<std::uint64_t>(sa.state));
  id(sa.spi_i);
  id(sa.spi_r);
  put(static_cast<bool>(sa.connection));
  put(sa.path.remote.port);
  put(sa.encap + 2 * sa.nat_here + 4 * sa.nat_there + 8 * sa.half_open + 16 * sa.use_query_sent);
  id(sa.keys.d.reveal());
  wire::ike::Header header;
  header.spi_i = sa.spi_i;
  header.spi_r = sa.spi_r;
  const bool initiator = sa.role == ike::v2::Role::kInitiator;
  header.flags = initiator ? wire::ike::kFlagInitiator : 0;
  message_id(header, sa.next_request);
  header.flags = initiator ? 0 : wire::ike::kFlagInitiator;
  message_id(header, sa.expected_request);
  exchange(sa);
  for (const auto& each : sa.children) child(each);
  mark('t');
  when(sa.discard_at);
  when(sa.liveness_at);
  coming(sa.next_hint);
  coming(sa.next_told);
  id(sa.peer_token);
  when(sa.rekey_at);
  id(sa.successor.value_or(IkeSpi()));
  if (const auto& begun = sa.if_handshake()) {
    put(begun->restarts);
    id(begun->child_spi);
    put(begun->initial_contact);
  }
  // What came first decides which of two SAs stays (docs/simultaneous-start.md).
  for (const auto& [spi, other] : core.sas) {
    put((sa.begun < other.established_at) + 2 * (sa.begun < other.begun) +
        4 * (sa.established_at < other.established_at));
  }
}

void Canon::pairs(const ike::Core& core) {
  for (const auto& [name, pair] : core.pairs) {
    mark('p');
    put(pair.disabled + 2 * pair.up);
    when(pair.retry_at);
    coming(pair.next_hint);
    put(static_cast<std::uint64_t>(pair.backoff / 1ms));
    for (const IkeSpi spi : pair.sas) id(spi);
  }
}

void Canon::end(const ExplorerEnd& end) {
  mark('e');
  const ike::Core& core = end.engine.core();
  put(end.acts_done);
  put(end.crashed);
  for (const auto& [spi, each] : core.sas) sa(core, each);
  pairs(core);
  mark('i');
  for (const auto& [key, spi] : core.init_requests) id(spi);
  mark('l');
  for (const ike::LateRemoval& late : core.late_removals) {
    when(late.at);
    id(late.removal.spi);
  }
  mark('d');
  // In the order of names, not of the SPIs' values: these have been met before.
  std::vector<std::pair<std::uint64_t, Spi>> inbound;
  for (const auto& [spi, key] : end.inbound) {
    const auto name = names_.find({Kind::kSpi, spi.value});
    inbound.emplace_back(name == names_.end() ? 0 : name->second, spi);
  }
  std::sort(inbound.begin(), inbound.end());
  for (const auto& [name, spi] : inbound) {
    id(spi);
    id(end.inbound.at(spi).reveal());
  }
  mark('o');
  for (const OutboundSa& sa : end.outbound) {
    id(sa.spi);
    id(sa.key.reveal());
    id(sa.reqid);
  }
  put(end.policies.size());
}

// Of a letter, what does not depend on names: to sort by.
std::uint64_t Canon::shape(const Letter& letter) const {
  std::uint64_t shape = letter.to * 2 + (letter.stray ? 1u : 0u);
  if (!letter.plain) return shape;
  const auto& header = letter.plain->header;
  for (const IkeSpi spi : {header.spi_i, header.spi_r}) {
    const auto name = names_.find({Kind::kIkeSpi, spi.value});
    shape = shape * 31 + (name == names_.end() ? 0 : name->second);
  }
  shape = shape * 256 + header.flags;
  shape = shape * 256 + static_cast<std::uint64_t>(header.exchange);
  return shape * 1024 + header.message_id.value;
}

Fingerprint Canon::of() {
  put(state_.faults_left() * 2 + (state_.was_up() ? 1 : 0));
  for (const ExplorerEnd& each : state_.ends()) {
    ++end_;
    end(each);
  }
  std::vector<const Letter*> letters;
  for (const Letter& letter : state_.letters()) letters.push_back(&letter);
  std::stable_sort(letters.begin(), letters.end(),
                   [&](const Letter* a, const Letter* b) { return shape(*a) < shape(*b); });
  for (const Letter* letter : letters) {
    mark('m');
    put(letter->to * 2 + (letter->stray ? 1u : 0u));
    put(letter->path.local.port);
    if (letter->plain) {
      message(*letter->plain);
    } else {
      id(ByteView(*letter->datagram));
    }
  }
  for (const Bytes& each : nonces_) {
    put(static_cast<std::uint64_t>(std::count_if(
        nonces_.begin(), nonces_.end(), [&](const Bytes& other) { return other < each; })));
  }
  return {a_, b_};
}

}  // namespace

Fingerprint fingerprint(const PairState& state) { return Canon(state).of(); }

}  // namespace espalier::sim
