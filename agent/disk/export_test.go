package disk

// QuestionSCSI refuses what is no question to a device that has told that it is a disk, or
// has told nothing.
func QuestionSCSI(cdb []byte, disk bool) error { return questionSCSI(cdb, disk) }

// QuestionNVMe refuses what is no question.
func QuestionNVMe(req NVMeRequest) error { return questionNVMe(req) }
