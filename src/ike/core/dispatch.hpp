// From a datagram to the task that handles it.
#pragma once

#include "ike/core/core.hpp"

namespace espalier::ike {

void dispatch(Context& ctx, const Path& path, ByteView datagram);

}  // namespace espalier::ike
