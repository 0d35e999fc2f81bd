//go:build linux

package lab

// Peeks for the tests beside the package.
var (
	Abandoned   = abandoned
	ArrayTable  = arrayTable
	DeviceTable = deviceTable
	Fingerprint = fingerprint
	SegmentOf   = segmentOf
	Share       = shareNamespaces
	SupplyTable = supplyTable
	Through     = (*Wire).through
)

// Create makes the disk's image.
func (d Disk) Create(path string) error { return d.create(path) }

// Note takes down what a frame shows.
var Note = (*Milestones).note
