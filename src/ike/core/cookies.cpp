// Stateless cookies against floods of IKE_SA_INIT (RFC 7296 section 2.6).
#include "crypto/prf.hpp"
#include "ike/core/core.hpp"
#include "ike/core/limits.hpp"

namespace espalier::ike {
namespace {

void refresh(Context& ctx) {
  CookieSecret& cookie = ctx.core.cookie;
  if (!cookie.current.empty() && ctx.now - cookie.made < kCookieSecretLifetime) return;
  cookie.previous = cookie.current;
  cookie.current = ctx.rng.bytes(32);
  cookie.made = ctx.now;
  ++cookie.version;
}

Bytes cookie_with(std::uint8_t version, ByteView secret, ByteView nonce, const SocketAddress& from,
                  IkeSpi spi_i) {
  Writer spi;
  spi.u64(spi_i.value);
  Bytes cookie{version};
  const Bytes hash = crypto::sha256({nonce, from.ip.bytes(), spi.view(), secret});
  cookie.insert(cookie.end(), hash.begin(), hash.end());
  return cookie;
}

}  // namespace

Bytes make_cookie(Context& ctx, ByteView nonce, const SocketAddress& from, IkeSpi spi_i) {
  refresh(ctx);
  return cookie_with(ctx.core.cookie.version, ctx.core.cookie.current, nonce, from, spi_i);
}

bool cookie_is_valid(Context& ctx, ByteView cookie, ByteView nonce, const SocketAddress& from,
                     IkeSpi spi_i) {
  refresh(ctx);
  if (cookie.empty()) return false;
  const CookieSecret& secret = ctx.core.cookie;
  const bool current = cookie[0] == secret.version;
  const ByteView key = current ? secret.current : secret.previous;
  if (key.empty() || (!current && static_cast<std::uint8_t>(cookie[0] + 1) != secret.version)) {
    return false;
  }
  return constant_time_equal(cookie, cookie_with(cookie[0], key, nonce, from, spi_i));
}

}  // namespace espalier::ike
