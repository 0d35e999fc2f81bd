package disk

import "strings"

// Survey asks a disk everything that this package can ask without changing
// anything, and throws the answers away: it is for a Recorder to hear. What a disk
// refuses is no error; the error is that of opening it.
func Survey(bus Bus, name string) error {
	if strings.HasPrefix(name, "nvme") {
		dev, err := bus.NVMe(name)
		if err != nil {
			return err
		}

		surveyNVMe(dev)

		return dev.Close()
	}

	dev, err := bus.SCSI(name)
	if err != nil {
		return err
	}

	if surveySCSI(dev) {
		surveyATA(ATAOver(dev))
	}

	return dev.Close()
}

// surveyNVMe: what a disk does not know it refuses, which is an answer as well.
func surveyNVMe(dev NVMe) {
	controller, err := ReadNVMeController(dev)
	if err != nil {
		return
	}

	_, _ = ReadNVMeNamespace(dev)
	_, _ = ReadNVMeHealth(dev)
	_, _ = ReadNVMeErrors(dev, controller.ErrorEntries)
	_, _ = ReadNVMeSelfTests(dev)
	_, _ = admin(dev, "reading NVMe firmware log", logRequest(logNVMeFirmware, nvmeFirmwareSize))
	_, _ = ReadOCPHealth(dev)
}

// surveySCSI reports whether the disk is an ATA disk behind a translation layer.
func surveySCSI(dev SCSI) (ata bool) {
	inquiry, err := ReadInquiry(dev)
	if err != nil {
		return false
	}

	_, _ = ReadSerial(dev)
	_, _ = ReadWWN(dev)
	_, _, _ = ReadMedium(dev)

	// A RAID controller's volume is no disk to talk to; some hang on unknown pages.
	if inquiry.RAIDVolume() {
		return false
	}

	if BehindSAT(dev) || inquiry.ATA() {
		return true
	}

	_ = ReadShingling(dev, inquiry)

	for _, page := range []byte{
		LogSupported, LogWriteErrors, LogReadErrors, LogVerifyErrors, LogNonMedium, LogTemperature, LogStartStop, LogSelfTest,
		LogSolidState, LogBackground, LogPort, LogExceptions,
	} {
		_, _ = ReadLog(dev, page)
	}

	_, _ = ReadGrownDefects(dev)
	_, _ = ReadExtendedMinutes(dev)

	// USB bridges carry ATA commands without saying so.
	_, err = ReadIdentify(ATAOver(dev))

	return err == nil
}

func surveyATA(ata ATA) {
	id, err := ReadIdentify(ata)
	if err != nil {
		return
	}

	_, _ = ReadNativeSectors(ata, id)

	_, _ = ReadAttributes(ata)
	_, _ = ReadHealth(ata)
	_, _ = ReadATASelfTests(ata)
	_, _ = ReadATAExtSelfTests(ata)
	_, _ = ata.Do(ATARequest{Command: ataReadLogExt, LBA: logExtErrors, Count: 1, Ext: true, In: sectorSize})
	_, _ = ReadPhyEvents(ata)
	_, _ = ReadEndurance(ata)
}
