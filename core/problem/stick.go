package problem

import "vetting/core"

// Codes of the gates before a stick is overwritten with the field kit, besides those that
// every disk goes through.
const (
	StickNotMeant = "stick/not-meant"
	StickNotUSB   = "stick/not-usb"
	StickTooSmall = "stick/too-small"
)

// sticks lists them.
func sticks() []Entry {
	return []Entry{
		{
			StickNotMeant, "The stick is not the one that was named",
			"What was said is not the serial number of this device (its model, where it tells no serial number).",
			"Look which device is the stick: lsblk -o NAME,MODEL,SERIAL,SIZE,TRAN.", core.Critical,
		},
		{
			StickNotUSB, "The device is no stick",
			"The field kit is written to what is attached by USB; this is a disk of the machine.",
			"Name the stick; if this disk is really meant, name its serial number with --not-usb.", core.Critical,
		},
		{
			StickTooSmall, "The stick is too small",
			"The image has more bytes than the stick.",
			"Take a larger stick; 1 GB is enough.", core.Critical,
		},
	}
}
