package blockdev

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/core/diskguard"
)

const blockDevices = "sys/block"

// Survey looks at all disks of a machine: who they are, how they are attached and who
// uses them. What cannot be found out is in a disk's Unknown, and counts against it.
func Survey(m probe.Machine) []diskguard.Disk {
	drives, _ := m.Disks() // a disk that does not answer lacks what it did not tell, and is looked at below

	mounts, mountErr := mounted(m.Root)
	swaps, swapErr := swapped(m.Root)

	disks := make([]diskguard.Disk, 0, len(drives))

	for _, drive := range drives {
		d := survey(m, drive)

		for _, err := range []error{mountErr, swapErr} {
			if err != nil {
				d.Unknown = append(d.Unknown, err.Error())
			}
		}

		parts := partitions(m.Root, d.Name)
		d.Holders = holders(m.Root, d.Name, parts)

		for _, one := range append([]string{d.Name}, parts...) {
			number := text(m.Root, path.Join(blockDevices, d.Name, one, "dev"))
			if one == d.Name {
				number = d.Number
			}

			d.Mounts = append(d.Mounts, mounts[number]...)
			d.Mounts = append(d.Mounts, mounts["/dev/"+one]...)

			if slices.Contains(swaps, one) {
				d.Swap = append(d.Swap, one)
			}
		}

		slices.Sort(d.Mounts)
		d.Mounts = slices.Compact(d.Mounts)
		disks = append(disks, d)
	}

	return disks
}

// survey is what is to be known of a disk by itself.
func survey(m probe.Machine, drive probe.Drive) diskguard.Disk {
	dir := path.Join(blockDevices, drive.Name)
	d := diskguard.Disk{
		Name: drive.Name, Number: text(m.Root, dir+"/dev"), Serial: drive.Serial, WWN: drive.WWN, Model: drive.Model,
		SizeBytes: drive.SizeBytes, Block: drive.LogicalBlock, Transport: drive.Transport, Volume: drive.RAID, Network: drive.Network, Zoned: drive.Zoned, Paths: slices.Clone(drive.OtherPaths),
		Attached:  text(m.Root, dir+"/diskseq"),
		Removable: drive.Removable || text(m.Root, dir+"/removable") != "0",
	}

	switch text(m.Root, dir+"/ro") {
	case "0":
	case "1":
		d.ReadOnly = true
	default:
		d.Unknown = append(d.Unknown, "the kernel does not say whether it is read-only")
	}

	switch {
	case link(m.Root, dir) == "":
		d.Unknown = append(d.Unknown, "the kernel does not say how it is attached")
	case drive.Transport == "nvme":
		d = nvme(m, d)
	}

	return reserved(m.Bus, d)
}

// nvme looks at the controllers through which a namespace is reached.
func nvme(m probe.Machine, d diskguard.Disk) diskguard.Disk {
	controllers := m.Controllers(d.Name)

	if len(controllers) > 1 {
		d.Paths = append(d.Paths, controllers...)
	}

	for _, c := range controllers {
		if text(m.Root, path.Join("sys/class/nvme", c, "transport")) == "" {
			d.Unknown = append(d.Unknown, "the kernel does not say how controller "+c+" is reached")
		}
	}

	if len(controllers) == 0 {
		d.Unknown = append(d.Unknown, "it has no controller")
	}

	return d
}

// reserved asks the disk for reservations of a cluster.
func reserved(bus disk.Bus, d diskguard.Disk) diskguard.Disk {
	var (
		r   disk.Reservation
		err error
	)

	switch d.Transport {
	case "sas", "scsi":
		var dev disk.SCSI
		if dev, err = bus.SCSI(d.Name); err == nil {
			r, err = disk.ReadReservation(dev)
			dev.Close()
		}
	case "nvme":
		var dev disk.NVMe
		if dev, err = bus.NVMe(d.Name); err == nil {
			r, err = disk.ReadNVMeReservation(dev)
			dev.Close()
		}
	default:
		return d // neither ATA nor virtio has any
	}

	if err != nil {
		d.Unknown = append(d.Unknown, err.Error())
	}

	if !r.None() {
		d.Reserved = fmt.Sprintf("%d hosts have registered with it, held: %v", r.Registered, r.Held)
	}

	return d
}

// partitions are the names of a disk's partitions.
func partitions(root fs.FS, name string) []string {
	dir := path.Join(blockDevices, name)

	return slices.DeleteFunc(names(root, dir), func(entry string) bool {
		return !strings.HasPrefix(entry, name) || text(root, path.Join(dir, entry, "partition")) == ""
	})
}

// holders are the devices that the kernel makes of a disk or its partitions: arrays,
// volume groups, encrypted devices, multipath.
func holders(root fs.FS, name string, parts []string) (found []string) {
	found = names(root, path.Join(blockDevices, name, "holders"))

	for _, part := range parts {
		found = append(found, names(root, path.Join(blockDevices, name, part, "holders"))...)
	}

	return found
}

// mounted lists mount points by the number of the device they are on, and by its
// path: some filesystems have a number of their own.
func mounted(root fs.FS) (map[string][]string, error) {
	raw, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("reading what is mounted: %w", err)
	}

	found := map[string][]string{}

	for line := range strings.Lines(string(raw)) {
		before, after, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)

		if !ok || len(fields) < 5 || len(rest) < 2 {
			return nil, fmt.Errorf("reading what is mounted: a line of another form: %.80q", line)
		}

		found[fields[2]] = append(found[fields[2]], fields[4])
		found[rest[1]] = append(found[rest[1]], fields[4])
	}

	return found, nil
}

// swapped lists the names of the devices that the system swaps to.
func swapped(root fs.FS) (devices []string, err error) {
	raw, err := fs.ReadFile(root, "proc/swaps")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a kernel that cannot swap
	}

	if err != nil {
		return nil, fmt.Errorf("reading what is swapped to: %w", err)
	}

	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) > 0 {
			devices = append(devices, path.Base(fields[0]))
		}
	}

	return devices, nil
}

// Live reports whether the system runs in memory alone: nothing that is mounted on
// its root comes from a device.
func Live(root fs.FS) bool {
	raw, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return false
	}

	live := false

	for line := range strings.Lines(string(raw)) {
		before, after, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)

		if !ok || len(fields) < 5 || len(rest) < 1 {
			return false
		}

		if fields[4] != "/" {
			continue
		}

		if live = slices.Contains([]string{"rootfs", "tmpfs", "ramfs"}, rest[0]); !live {
			return false
		}
	}

	return live
}

func text(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}

	return disk.Text(b)
}

func names(root fs.FS, dir string) (list []string) {
	entries, err := fs.ReadDir(root, dir)
	if err != nil {
		return nil
	}

	for _, e := range entries {
		list = append(list, e.Name())
	}

	return list
}

// link is where a link of sysfs leads, relative to the root.
func link(root fs.FS, name string) string {
	target, err := fs.ReadLink(root, name)
	if err != nil {
		return ""
	}

	if strings.HasPrefix(target, "/") {
		return strings.TrimPrefix(path.Clean(target), "/")
	}

	return path.Join(path.Dir(name), target)
}
