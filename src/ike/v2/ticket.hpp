// Session tickets (RFC 5723): by value, sealed under a key that only this engine has. Pure
// functions.
//
// The keys live as long as the engine and change every day; no file has them. So a ticket, which
// goes over the wire in the clear, cannot be opened by who takes the disk later, and with it the
// SK_d of a recorded session. What a restart of the responder costs is one round trip: TICKET_NACK,
// then a full exchange.
#pragma once

#include <utility>

#include "base/secret.hpp"
#include "base/strong.hpp"
#include "crypto/rng.hpp"
#include "policy/nouns.hpp"

namespace espalier::ike::v2 {

// What both ends keep of the session ("from the ticket" in section 5).
struct TicketState {
  policy::Identity idi, idr;  // of the client and of who granted it
  policy::IkeSuite suite;
  SecretBytes sk_d;
  bool ppk = false;  // SK_d has a post-quantum key in it
  // When the authentication is too old (RFC 4478), by the keeper's clock: resuming does not renew
  // it. The epoch: never.
  Instant auth_by{};
  Bytes mark;                               // of the credentials (credentials_mark)
  std::vector<crypto::CertificateId> path;  // the other end's certificates (section 5, note 2)
  friend bool operator==(const TicketState&, const TicketState&) = default;
};

// As client: the ticket of one IKE SA.
struct Ticket {
  Bytes opaque;
  Instant expires{};
  TicketState state;
  IkeSpi sa;  // local SPI of the IKE SA; 0: it was lost, and may be resumed
  friend bool operator==(const Ticket&, const Ticket&) = default;
};

struct TicketKeys {
  Instant made{};
  std::uint32_t generation = 0;  // of `current`
  SecretBytes current, previous;
  friend bool operator==(const TicketKeys&, const TicketKeys&) = default;
};

// When a ticket expires, and its number: what is kept of a used one.
using TicketHandle = std::pair<Instant, Bytes>;

struct OpenedTicket {
  TicketState state;
  TicketHandle handle;
};

// No ticket made so far can be opened any more.
void forget_keys(TicketKeys& keys);
// Makes a new key when the current one is too old.
void refresh(TicketKeys& keys, crypto::Rng& rng, Instant now);
// keys: refreshed.
Bytes seal_ticket(const TicketKeys& keys, crypto::Rng& rng, const TicketState& state,
                  Instant expires);
// Errors: kAuthentication, with why: a key that is gone, another's or altered, expired.
Result<OpenedTicket> open_ticket(const TicketKeys& keys, ByteView ticket, Instant now);

// Changes with everything that the peers' authentication rests on: a ticket does not outlive it.
Bytes credentials_mark(const policy::Connection& connection);

}  // namespace espalier::ike::v2
