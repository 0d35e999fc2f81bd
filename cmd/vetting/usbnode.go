package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vetting/agent/blockdev"
	"vetting/core/diskguard"
)

// nodeOf finds where a name leads (/dev/disk/by-id is full of links), and the number of
// the block device there.
func nodeOf(device string) (node, number string, err error) {
	if node, err = filepath.EvalSymlinks(device); err == nil {
		node, err = filepath.Abs(node)
	}

	if err != nil {
		return "", "", fmt.Errorf("looking for the stick: %w", err)
	}

	var stat unix.Stat_t

	if err := unix.Stat(node, &stat); err != nil {
		return "", "", fmt.Errorf("looking for the stick: %s: %w", node, err)
	}

	if stat.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", "", fmt.Errorf("%s is no block device; name the stick as lsblk -d lists it, as in /dev/sdX", ledTo(device, node))
	}

	return node, fmt.Sprintf("%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev)), nil
}

// ledTo names a device and, where it is another, the node that it leads to.
func ledTo(device, node string) string {
	if device == node {
		return device
	}

	return device + " (" + node + ")"
}

// lookUp finds the disk that a node of a name and a number is: both must be right.
func lookUp(layer blockdev.Layer, device, node, number string) (disk diskguard.Disk, others []diskguard.Disk, err error) {
	disk, others, err = blockdev.Look(layer, filepath.Base(node))

	switch {
	case errors.Is(err, blockdev.ErrAbsent):
		return disk, nil, fmt.Errorf("%s is no whole disk of this machine; name one as lsblk -d lists it, not a partition: %w", ledTo(device, node), err)
	case err != nil:
		return disk, nil, err
	case disk.Number != number:
		return disk, nil, fmt.Errorf("%s is block device %s, and %s of this machine is %s; name the stick as lsblk -d lists it, as in /dev/sdX",
			ledTo(device, node), number, disk.Name, disk.Number)
	default:
		return disk, others, nil
	}
}
