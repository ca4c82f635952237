//! Clocks, power and their limits, by NVML.

use nvml_wrapper::Nvml;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};

use crate::cuda::device::DeviceState;

/// What counts as throttling: idle clocks and clocks that somebody set do not.
const REASONS: [(ThrottleReasons, &str); 5] = [
    (ThrottleReasons::SW_POWER_CAP, "software power cap"),
    (ThrottleReasons::HW_SLOWDOWN, "hardware slowdown"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "software thermal slowdown"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, "hardware thermal slowdown"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "hardware power brake"),
];

/// A device under NVML.
#[derive(Debug)]
pub(crate) struct Watch {
    nvml: Nvml,
    /// CUDA may number devices otherwise.
    bus_id: String,
}

impl Watch {
    /// `None` without NVML, or if it does not know the device.
    pub(crate) fn new(bus_id: &str) -> Option<Self> {
        let nvml = Nvml::init().ok()?;
        nvml.device_by_pci_bus_id(bus_id).ok()?;
        Some(Self { nvml, bus_id: bus_id.to_owned() })
    }

    pub(crate) fn driver_version(&self) -> Option<String> {
        self.nvml.sys_driver_version().ok()
    }

    /// What it says now; what it does not say is empty.
    pub(crate) fn state(&self) -> DeviceState {
        let Ok(device) = self.nvml.device_by_pci_bus_id(self.bus_id.as_str()) else {
            return DeviceState::default();
        };
        let reasons = device.current_throttle_reasons().unwrap_or(ThrottleReasons::empty());
        DeviceState {
            sm_clock_mhz: device.clock_info(Clock::SM).ok(),
            memory_clock_mhz: device.clock_info(Clock::Memory).ok(),
            power_mw: device.power_usage().ok(),
            temperature_c: device.temperature(TemperatureSensor::Gpu).ok(),
            throttle_reasons: REASONS.iter().filter(|(bit, _)| reasons.contains(*bit)).map(|&(_, name)| name).collect(),
        }
    }
}
