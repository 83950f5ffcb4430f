package health

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// frameHeader is the length of what precedes a message: one byte that says if it is compressed, four of length.
const frameHeader = 5

var errMalformed = errors.New("malformed answer from the gRPC health service")

var servingStatus = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

var grpcCodes = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
	"DATA_LOSS", "UNAUTHENTICATED",
}

// encodeRequest returns HealthCheckRequest{service: 1} with its frame header.
func encodeRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = append(message, 1<<3|2)
		message = binary.AppendUvarint(message, uint64(len(service)))
		message = append(message, service...)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(frame, message...)
}

// decodeResponse returns nil if the answer is SERVING.
func decodeResponse(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") {
		return fmt.Errorf("not a gRPC answer: %d %s, content type %q", resp.StatusCode, http.StatusText(resp.StatusCode),
			oneLine(resp.Header.Get("Content-Type")))
	}
	// Trailers are there only once the body has been read to its end.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return err
	}
	if len(body) > maxBody {
		return fmt.Errorf("%w: longer than %d bytes", errMalformed, maxBody)
	}
	if err := grpcStatus(resp); err != nil {
		return err
	}
	status, err := decodeFrame(body)
	switch {
	case err != nil:
		return err
	case status == 1:
		return nil
	case status < uint64(len(servingStatus)):
		return errors.New(servingStatus[status])
	}
	return fmt.Errorf("serving status %d", status)
}

// grpcStatus returns the error that the call itself ended with.
func grpcStatus(resp *http.Response) error {
	from := resp.Trailer
	if resp.Header.Get("Grpc-Status") != "" {
		from = resp.Header // an answer without a message has its trailers there
	}
	status := from.Get("Grpc-Status")
	code, err := strconv.ParseUint(status, 10, 31)
	switch {
	case err != nil:
		return fmt.Errorf("%w: grpc-status %q", errMalformed, oneLine(status))
	case code == 0:
		return nil
	}
	name := "code " + status
	if code < uint64(len(grpcCodes)) {
		name = grpcCodes[code]
	}
	message := from.Get("Grpc-Message")
	if plain, err := url.PathUnescape(message); err == nil {
		message = plain
	}
	return errors.New(with(name, oneLine(message)))
}

// decodeFrame returns the status of the HealthCheckResponse in a frame.
func decodeFrame(frame []byte) (status uint64, err error) {
	if len(frame) < frameHeader || frame[0] != 0 || binary.BigEndian.Uint32(frame[1:]) != uint32(len(frame)-frameHeader) {
		return 0, errMalformed
	}
	for message := frame[frameHeader:]; len(message) > 0; {
		key, n := binary.Uvarint(message)
		if n <= 0 {
			return 0, errMalformed
		}
		message = message[n:]
		value, n := decodeField(key&7, message)
		if n <= 0 || n > len(message) {
			return 0, errMalformed
		}
		if key == 1<<3 {
			status = value
		}
		message = message[n:]
	}
	return status, nil
}

// decodeField returns a field's value, if it is a varint, and its length; not above 0 if it is malformed. Fields that
// later versions of the message may have are skipped that way.
func decodeField(wire uint64, b []byte) (value uint64, length int) {
	switch wire {
	case 0:
		return binary.Uvarint(b)
	case 1:
		return 0, 8
	case 2:
		size, n := binary.Uvarint(b)
		if n <= 0 || size > maxBody {
			return 0, 0
		}
		return 0, n + int(size)
	case 5:
		return 0, 4
	}
	return 0, 0
}
