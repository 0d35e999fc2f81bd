package photo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Markers of JPEG (ITU T.81, table B.1).
const (
	markSOI   = 0xd8
	markEOI   = 0xd9
	markSOS   = 0xda
	markDQT   = 0xdb
	markDHT   = 0xc4
	markDRI   = 0xdd
	markSOF0  = 0xc0 // baseline
	markSOF1  = 0xc1 // extended
	markSOF2  = 0xc2 // progressive
	markAPP1  = 0xe1 // Exif, XMP
	markAPP14 = 0xee // Adobe: how the colours are coded
	markRST0  = 0xd0
	markRST7  = 0xd7
)

// errEnds says that something is shorter than it claims.
var errEnds = errors.New("it ends too early")

// segment is a part of a JPEG with a length.
type segment struct {
	mark byte
	body []byte
}

// jpeg keeps the tables, frames and scans; of Exif, how the picture is to be turned.
func jpeg(data []byte) (Photo, error) {
	var (
		made = Photo{Type: "image/jpeg"}
		out  = bytes.NewBuffer(make([]byte, 0, len(data)))
		rest = data[2:]
		seen struct{ turned, scanned bool }
	)

	out.Write([]byte{0xff, markSOI})

	for {
		part, after, err := nextSegment(rest)
		if err != nil {
			return Photo{}, err
		}

		rest = after

		switch part.mark {
		case markEOI:
			if !seen.scanned {
				return Photo{}, errors.New("it holds no picture")
			}

			out.Write([]byte{0xff, markEOI})
			made.Data = out.Bytes()

			return made, nil
		case markAPP1:
			if turn := orientation(part.body); turn > 1 && !seen.turned && made.Width == 0 {
				seen.turned = true

				out.Write(turned(turn))
			}
		case markSOF0, markSOF1, markSOF2:
			if err := made.frame(&part); err != nil {
				return Photo{}, err
			}

			part.writeTo(out)
		case markDQT, markDHT, markDRI, markAPP14:
			part.writeTo(out)
		case markSOS:
			if made.Width == 0 {
				return Photo{}, errors.New("a scan stands before its frame")
			}

			seen.scanned = true

			rest = part.writeScan(out, rest)
		default:
			if part.mark < 0xe0 || part.mark > 0xfe { // neither an application's nor a comment
				return Photo{}, fmt.Errorf("it has a part of the kind %02x", part.mark)
			}
		}
	}
}

// frame reads how large the picture is from the head of its frame, of which there is one.
func (p *Photo) frame(part *segment) error {
	if p.Width != 0 || len(part.body) < 6 {
		return errors.New("its frame makes no sense")
	}

	p.Height, p.Width = int(binary.BigEndian.Uint16(part.body[1:])), int(binary.BigEndian.Uint16(part.body[3:]))

	return nil
}

// writeScan writes the head of a scan and the scan that data begins with, and returns what
// comes after it.
func (s *segment) writeScan(out *bytes.Buffer, data []byte) []byte {
	s.writeTo(out)

	n := scanned(data)
	out.Write(data[:n])

	return data[n:]
}

// nextSegment reads the marker that data begins with, after any fill bytes, and what
// belongs to it.
func nextSegment(data []byte) (part segment, rest []byte, err error) {
	if len(data) < 2 || data[0] != 0xff {
		return part, nil, errEnds
	}

	for len(data) >= 2 && data[1] == 0xff {
		data = data[1:]
	}

	if len(data) < 2 {
		return part, nil, errEnds
	}

	part.mark = data[1]
	if part.mark == markEOI {
		return part, nil, nil
	}

	if len(data) < 4 {
		return part, nil, errEnds
	}

	length := int(binary.BigEndian.Uint16(data[2:]))
	if length < 2 || len(data) < 2+length {
		return part, nil, errEnds
	}

	part.body = data[4 : 2+length]

	return part, data[2+length:], nil
}

func (s *segment) writeTo(out *bytes.Buffer) {
	out.Write([]byte{0xff, s.mark})
	out.Write(binary.BigEndian.AppendUint16(nil, uint16(len(s.body)+2))) //nolint:gosec // it was read from 16 bits
	out.Write(s.body)
}

// scanned is how many bytes of coded picture data begins with: up to the next marker that
// is no restart.
func scanned(data []byte) int {
	for i := 0; i+1 < len(data); i++ {
		if next := data[i+1]; data[i] == 0xff && next != 0 && next != 0xff && (next < markRST0 || next > markRST7) {
			return i
		}
	}

	return len(data)
}

// The orientation in Exif (CIPA DC-008 §4.6.4): tag 0112h, one SHORT, in the first
// directory.
const (
	exifMagic      = "Exif\x00\x00"
	tagOrientation = 0x0112
	typeShort      = 3
	maxTurn        = 8
	maxTags        = 512
)

// orientation is how the picture is to be turned, 1 to 8; 0 where that is not said.
func orientation(body []byte) uint16 {
	tiff, ok := bytes.CutPrefix(body, []byte(exifMagic))
	if !ok || len(tiff) < 8 {
		return 0
	}

	var order binary.ByteOrder = binary.BigEndian
	if string(tiff[:2]) == "II" {
		order = binary.LittleEndian
	}

	at := order.Uint32(tiff[4:])
	if uint64(at)+2 > uint64(len(tiff)) {
		return 0
	}

	count := int(order.Uint16(tiff[at:]))
	entries := tiff[at+2:]

	for i := 0; i < min(count, maxTags) && len(entries) >= 12; i++ {
		if order.Uint16(entries) == tagOrientation && order.Uint16(entries[2:]) == typeShort {
			if turn := order.Uint16(entries[8:]); turn <= maxTurn {
				return turn
			}
		}

		entries = entries[12:]
	}

	return 0
}

// turned is an Exif part that says how the picture is to be turned, and nothing else.
func turned(turn uint16) []byte {
	tiff := []byte("MM\x00*\x00\x00\x00\x08\x00\x01")
	tiff = binary.BigEndian.AppendUint16(tiff, tagOrientation)
	tiff = binary.BigEndian.AppendUint16(tiff, typeShort)
	tiff = binary.BigEndian.AppendUint32(tiff, 1)
	tiff = binary.BigEndian.AppendUint16(tiff, turn)
	tiff = append(tiff, 0, 0, 0, 0, 0, 0) // the rest of the value, and no further directory

	var out bytes.Buffer

	part := segment{mark: markAPP1, body: append([]byte(exifMagic), tiff...)}
	part.writeTo(&out)

	return out.Bytes()
}
