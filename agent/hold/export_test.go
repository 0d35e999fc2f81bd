package hold

// Requests are what a client's bytes go through before anything is done.
func Requests(payload []byte) (words []string, sides []uint16, signal int) {
	env, envOK := readEnv(payload)
	term, size, ptyOK := readPty(payload)
	command, execOK := readExec(payload)
	window, _ := readWindow(payload)
	number, _ := readSignal(payload)

	for word, ok := range map[string]bool{env: envOK, term: ptyOK, command: execOK} {
		if ok {
			words = append(words, word)
		}
	}

	return words, []uint16{size.columns, size.rows, window.columns, window.rows}, int(number)
}

// Plain is what strings from outside go through on their way to the log.
func Plain(s string, limit int) string { return plain(s, limit) }

// Between is between.
func Between(stat string) bool { return between(stat) }
