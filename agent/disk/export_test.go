package disk

// QuestionSCSI refuses what is no question.
func QuestionSCSI(cdb []byte) error { return questionSCSI(cdb) }

// QuestionNVMe refuses what is no question.
func QuestionNVMe(req NVMeRequest) error { return questionNVMe(req) }
