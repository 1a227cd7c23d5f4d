// Error that becomes the answer {"error": {code, message, detail}}. worker/failure.py lists the codes.
// The message never contains a server's text or an address, because both may contain a credential.
// The detail is for the log only.
export class DiffError extends Error {
  constructor(code, message, detail = "") {
    super(message);
    this.code = code;
    this.detail = detail;
  }
}

// Runs a step and puts `subject`, such as "left-pad 1.3.0", before the message of its DiffError.
export async function withSubject(subject, step) {
  try {
    return await step();
  } catch (error) {
    if (error instanceof DiffError) error.message = `${subject}: ${error.message}`;
    throw error;
  }
}
