#include "ike/v2/nat.hpp"

#include "crypto/prf.hpp"

namespace espalier::ike::v2 {

Bytes nat_hash(IkeSpi spi_i, IkeSpi spi_r, const SocketAddress& address) {
  Writer octets;
  octets.u64(spi_i.value);
  octets.u64(spi_r.value);
  octets.bytes(address.ip.bytes());
  octets.u16(address.port);
  return crypto::sha1({octets.view()});
}

bool wants_encap(const Context& ctx, const ConnectionRef& connection) {
  return ctx.core.settings.force_encap ||
         (connection && connection->encap == policy::Encap::kAlways);
}

void add_nat_detection(Context& ctx, const IkeSa& sa, const Path& path,
                       std::vector<Payload>& payloads) {
  // A source hash that fits no address makes the peer encapsulate: see init.cpp.
  const Bytes source = wants_encap(ctx, sa.connection) ? ctx.rng.bytes(20)
                                                       : nat_hash(sa.spi_i, sa.spi_r, path.local);
  payloads.push_back(make_notify(NotifyType::kNatDetectionSourceIp, source));
  payloads.push_back(make_notify(NotifyType::kNatDetectionDestinationIp,
                                 nat_hash(sa.spi_i, sa.spi_r, path.remote)));
}

NatView read_nat_detection(const IkeSa& sa, const Path& path, const Message& message) {
  NatView view;
  const auto* destination = message.notify(NotifyType::kNatDetectionDestinationIp);
  if (destination == nullptr || message.notify(NotifyType::kNatDetectionSourceIp) == nullptr) {
    return view;
  }
  view.seen = true;
  view.seen_as = destination->data;
  view.here = destination->data != nat_hash(sa.spi_i, sa.spi_r, path.local);
  // Of several sources one has to fit.
  const Bytes source = nat_hash(sa.spi_i, sa.spi_r, path.remote);
  view.there = true;
  for (const Payload& payload : message.payloads) {
    const auto* notify = std::get_if<wire::ike::NotifyPayload>(&payload);
    if (notify != nullptr && notify->type == NotifyType::kNatDetectionSourceIp &&
        notify->data == source) {
      view.there = false;
    }
  }
  return view;
}

void apply_nat_view(const Context& ctx, IkeSa& sa, const NatView& view) {
  if (!view.seen) return;
  sa.nat_here = view.here;
  sa.nat_there = view.there;
  sa.encap = view.here || view.there || wants_encap(ctx, sa.connection);
}

}  // namespace espalier::ike::v2
