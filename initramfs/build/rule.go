package main

import "vetting/initramfs/build/depmod"

// rules choose the modules of the image: everything that makes a part of a
// machine visible or measurable, every driver a disk or a NIC may need, and the
// file systems the rescue shell may want to look into. What those need comes
// along by itself. Left out are whole subsystems a test bench has no use for
// (sound, media, GPU, wireless, KVM, targets), error injectors, which belong in
// test images only, and anything that could write to a disk unasked (md, dm).
func rules() depmod.Rules {
	return depmod.Rules{
		Keep: []string{
			// the machine itself: registers, sensors, error reporting, power
			"arch/x86/kernel/msr", "arch/x86/kernel/cpuid", "arch/x86/events",
			"drivers/acpi", "drivers/char/ipmi", "drivers/char/hw_random", "drivers/char/tpm", "drivers/char/nvram",
			"drivers/cpufreq", "drivers/cxl", "drivers/dax", "drivers/dca", "drivers/dma/ioat", "drivers/dma/idxd", "drivers/edac",
			"drivers/firmware", "drivers/hwmon", "drivers/i2c", "drivers/mfd", "drivers/nvdimm",
			"drivers/misc/eeprom", "drivers/misc/enclosure", "drivers/misc/hpilo", "drivers/misc/mei", "drivers/misc/pvpanic",
			"drivers/pci", "drivers/pinctrl", "drivers/powercap", "drivers/ptp", "drivers/ras", "drivers/rtc",
			"drivers/platform/x86/intel", "drivers/platform/x86/amd", "drivers/platform/x86/wmi*",
			"drivers/thermal", "drivers/watchdog",
			// disks
			"drivers/ata", "drivers/block/virtio_blk", "drivers/block/xen-blkfront", "drivers/block/loop", "drivers/block/mtip32xx",
			"drivers/cdrom", "drivers/message", "drivers/mmc/core", "drivers/mmc/host/sdhci*", "drivers/nvme", "drivers/scsi",
			// network
			"drivers/net/ethernet", "drivers/net/virtio_net", "drivers/net/vmxnet3", "drivers/net/hyperv", "drivers/net/xen-netfront",
			"drivers/net/phy", "drivers/net/mdio", "drivers/net/usb",
			"drivers/infiniband/core", "drivers/infiniband/hw/mlx4", "drivers/infiniband/hw/mlx5", "drivers/infiniband/ulp/ipoib",
			"net/packet", "net/8021q",
			// buses, consoles, virtual machines
			"drivers/hid/hid", "drivers/hid/hid-generic", "drivers/hid/usbhid", "drivers/hid/hid-hyperv", "drivers/hv",
			"drivers/input/evdev", "drivers/input/serio", "drivers/input/misc/pcspkr",
			"drivers/usb/common", "drivers/usb/core", "drivers/usb/host", "drivers/usb/storage", "drivers/usb/serial/ftdi_sio",
			"drivers/usb/serial/pl2303", "drivers/usb/serial/cp210x", "drivers/usb/serial/ch341", "drivers/usb/class/cdc-acm",
			"drivers/tty", "drivers/virt", "drivers/virtio",
			// file systems
			"fs/efivarfs", "fs/ext4", "fs/fat", "fs/isofs", "fs/nls/nls_ascii", "fs/nls/nls_cp437",
			"fs/nls/nls_iso8859-1", "fs/nls/nls_utf8", "fs/xfs",
		},
		Drop: []string{
			"drivers/acpi/apei/einj*", "drivers/pci/pcie/aer_inject", "drivers/scsi/scsi_debug", "drivers/i2c/i2c-stub",
			"drivers/ata/pata_legacy", "drivers/scsi/pcmcia", "drivers/scsi/qla2xxx/tcm_qla2xxx",
			"drivers/nvme/target", "drivers/thermal/intel/int340x_thermal",
			"drivers/net/ethernet/netronome", "drivers/net/ethernet/sfc/falcon",
			"drivers/tty/serial/jsm",
			"drivers/scsi/device_handler", "drivers/virt/coco", "drivers/hv/hv_balloon", "drivers/virtio/virtio_balloon",
		},
	}
}
