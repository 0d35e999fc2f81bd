package disk

import (
	"fmt"
	"slices"
)

// A question is a command that changes nothing on a medium. Nothing else leaves this
// package by a Bus: whatever a caller makes of requests, a disk that is only looked at
// is never written, formatted, sanitized, locked or resized. That a disk tests itself is
// a question as well.

// questionNVMe refuses admin commands that are not among the known questions.
func questionNVMe(req NVMeRequest) error {
	if slices.Contains([]byte{nvmeGetLog, nvmeIdentify, nvmeSelfTest}, req.Opcode) {
		return nil
	}

	return fmt.Errorf("NVMe admin command %#x is no question: %w", req.Opcode, ErrRefused)
}

// questionSCSI refuses commands that are not among the known questions; ATA commands go
// by what is in them. disk says that the device has told that it is one: to others the
// shorter way of ATA commands may mean to erase.
func questionSCSI(cdb []byte, disk bool) error {
	const diagnosticPages = 0x10 // PF: a parameter list follows

	switch cdb[0] {
	case scsiSense, scsiInquiry, scsiLogSense, scsiDefects, scsiReserveIn:
		return nil
	case scsiDiagnostic:
		if len(cdb) == 6 && cdb[1]&diagnosticPages == 0 && cdb[3]|cdb[4] == 0 {
			return nil
		}
	case passThrough16:
		if len(cdb) == 16 {
			return questionATA(cdb[14], cdb[4])
		}
	case passThrough12:
		if disk && len(cdb) == 12 {
			return questionATA(cdb[9], cdb[3])
		}
	}

	return fmt.Errorf("SCSI command %x is no question: %w", cdb, ErrRefused)
}

// questionATA goes by command and feature (ACS-4 §7). SMART's switch is one of them: a
// disk whose BIOS switched it off tells nothing else.
func questionATA(command, feature byte) error {
	smart := []byte{smartReadData, smartReadThresholds, smartRunTest, smartReadLog, smartEnable, smartStatus}

	switch {
	case slices.Contains([]byte{ataIdentify, ataReadLogExt, ataNativeMax}, command),
		command == ataSMART && slices.Contains(smart, feature),
		command == ataAccessible && feature == 0,
		command == ataConfiguration && feature == configurationIdentify:
		return nil
	default:
		return fmt.Errorf("ATA command %02x/%02x is no question: %w", command, feature, ErrRefused)
	}
}
