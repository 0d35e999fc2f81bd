// Package coldplug loads the kernel modules for the devices of a machine, as udev
// and modprobe do elsewhere: it reads the tables that depmod made, walks the
// devices' modaliases, hands modules to the kernel untouched (the kernel unpacks
// .ko.xz itself), and keeps listening, since buses find devices long after their
// driver was loaded.
package coldplug
