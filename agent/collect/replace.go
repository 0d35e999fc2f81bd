package collect

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"vetting/agent/disk"
	"vetting/agent/ipmi"
	"vetting/firmware/inventory"
)

// replace writes every file anew.
func (s *scrubber) replace(f Files) error {
	var (
		err  error
		tree bytes.Buffer
		host = s.hostName()
	)

	for name, content := range f {
		switch name {
		case treeFile:
			s.tree()
			s.hideOEM()

			if host != "" {
				err = s.root.Put(hostFile, []byte(s.stand(host, 0)+"\n"))
			}

			if err == nil {
				err = s.root.WriteText(&tree)
			}

			s.out[name] = tree.Bytes()
		case disksFile:
			s.out[name], err = s.disks(content)
		case bmcFile:
			s.out[name], err = s.bmc(content)
		default:
			s.out[name] = []byte(s.hideHost(s.words.Replace(string(content)), host))
		}

		if err != nil {
			return fmt.Errorf("scrubbing %s: %w", name, err)
		}
	}

	return nil
}

const hostFile = "proc/sys/kernel/hostname"

func (s *scrubber) hostName() string {
	name, err := s.root.ReadFile(hostFile)
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(name))
}

// hideHost replaces the host's name where it stands as a word of its own. Names
// of a few letters stand everywhere.
func (s *scrubber) hideHost(text, host string) string {
	if len(host) < least || host == "localhost" {
		return text
	}

	var b strings.Builder

	to, last, from := s.stand(host, 0), rune(0), 0

	for {
		at := strings.Index(text[from:], host)
		if at < 0 {
			b.WriteString(text[from:])

			return b.String()
		}

		before, after := text[from:from+at], text[from+at+len(host):]
		if at > 0 {
			last, _ = utf8.DecodeLastRuneInString(before)
		}

		next, _ := utf8.DecodeRuneInString(after)

		b.WriteString(before)

		if inWord(last) || inWord(next) {
			b.WriteString(host)
		} else {
			b.WriteString(to)
		}

		last, _ = utf8.DecodeLastRuneInString(host)
		from = len(text) - len(after)
	}
}

func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_')
}

// tree replaces in names, links and contents.
func (s *scrubber) tree() {
	fresh := NewTree()

	_ = fs.WalkDir(s.root, ".", func(name string, d fs.DirEntry, err error) error { //nolint:errcheck // the function below returns none
		to := s.words.Replace(name)

		switch {
		case err != nil || name == ".":
		case d.IsDir():
			_ = fresh.Folder(to)
		case d.Type()&fs.ModeSymlink != 0:
			if target, err := s.root.ReadLink(name); err == nil {
				_ = fresh.Link(to, s.words.Replace(target))
			}
		default:
			if content, err := s.root.ReadFile(name); err == nil {
				_ = fresh.Put(to, []byte(s.words.Replace(string(content))))
			} else {
				_ = fresh.Fail(to, cause(err))
			}
		}

		return nil //nolint:nilerr // what could not be read stays so
	})

	s.root = fresh
}

// hideOEM blanks what SMBIOS structures of the makers' own hold, and their free
// strings: serial numbers and addresses that nobody can find.
func (s *scrubber) hideOEM() {
	const oemStrings, firstOEM = 11, 128

	tables, err := s.root.ReadFile(inventory.SMBIOSPath)
	if err != nil {
		return
	}

	all, _ := inventory.ParseSMBIOS(tables) //nolint:errcheck // what comes after a fault is cut off below
	out := make([]byte, 0, len(tables))

	for _, table := range all {
		if table.Type == oemStrings || table.Type >= firstOEM {
			for i := range table.Strings {
				table.Strings[i] = s.stand(table.Strings[i], 0)
			}
		}

		if table.Type >= firstOEM {
			clear(table.Data[4:])
		}

		out = append(out, table.Data...)

		for _, text := range table.Strings {
			out = append(append(out, text...), 0)
		}

		if len(table.Strings) == 0 {
			out = append(out, 0)
		}

		out = append(out, 0)
	}

	_ = s.root.Put(inventory.SMBIOSPath, out)
}

// disks replaces in what disks answered.
func (s *scrubber) disks(recording []byte) ([]byte, error) {
	return eachLine(recording, func(e *disk.Exchange) error {
		data, err := hex.DecodeString(e.Data)
		if err != nil {
			return err
		}

		e.Data = hex.EncodeToString(bytes.TrimRight(s.binary(data, e.Length), "\x00"))
		e.Error = s.words.Replace(e.Error)

		return nil
	})
}

// binary replaces in an answer: as it is, and as ATA has it, the bytes of each
// word turned round. A checksum that was right is right again.
func (s *scrubber) binary(data []byte, length int) []byte {
	const sector = 512

	whole := data
	if length > len(data) && length <= maxFile {
		whole = append(bytes.Clone(data), make([]byte, length-len(data))...)
	}

	was := whole
	whole = []byte(s.words.Replace(string(whole)))
	whole = turned([]byte(s.words.Replace(string(turned(whole)))))

	if len(whole) == sector && sum(was) == 0 {
		whole[sector-1] -= sum(whole)
	}

	return whole
}

// turned swaps the bytes of each word.
func turned(b []byte) []byte {
	out := bytes.Clone(b)
	for i := 0; i+1 < len(out); i += 2 {
		out[i], out[i+1] = out[i+1], out[i]
	}

	return out
}

func sum(b []byte) (total byte) {
	for _, c := range b {
		total += c
	}

	return total
}

// bmc replaces in what the BMC answered. The inventory of its board and the GUIDs
// are blanked: they hold nothing that is judged.
func (s *scrubber) bmc(recording []byte) ([]byte, error) {
	return eachLine(recording, func(e *ipmi.Exchange) error {
		answer, err := hex.DecodeString(e.Answer)
		if err != nil {
			return err
		}

		answer = []byte(s.words.Replace(string(answer)))

		for _, command := range []string{"0a11", "0608", "0637"} {
			if strings.HasPrefix(e.Request, command) && len(answer) > 1 {
				clear(answer[1:])
			}
		}

		e.Answer = hex.EncodeToString(answer)

		return nil
	})
}

// eachLine changes every line of a recording.
func eachLine[E any](recording []byte, change func(*E) error) ([]byte, error) {
	var out bytes.Buffer

	for line := range bytes.Lines(recording) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}

		var e E
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, err
		}

		if err := change(&e); err != nil {
			return nil, err
		}

		again, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}

		out.Write(append(again, '\n'))
	}

	return out.Bytes(), nil
}
