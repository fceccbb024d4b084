// What the host around the kernel's plane must have for route-based pairs.
#pragma once

#include "dataplane/kernel/device_routes.hpp"
#include "dataplane/kernel/devices.hpp"
#include "mesh/plan.hpp"

namespace espalier::daemon {

struct DeviceNetwork {
  std::vector<dataplane::kernel::Device> devices;
  dataplane::kernel::DeviceRouting routing;
  bool empty() const { return devices.empty(); }
  friend bool operator==(const DeviceNetwork&, const DeviceNetwork&) = default;
};

// Pure. A device of several pairs has the smallest of their MTUs.
DeviceNetwork make_device_network(const mesh::HostPlan& plan);

}  // namespace espalier::daemon
