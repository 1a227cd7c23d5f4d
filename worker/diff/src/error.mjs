// A refusal becomes the answer {"error": {code, message, retry}}. Its message holds nothing that a
// server said and no address: either could carry a credential.
export class Refusal extends Error {
  constructor(code, message, retry = false) {
    super(message);
    this.code = code;
    this.retry = retry;
  }
}

// Runs a step, and says of its refusal which version of the package it is about.
export async function about(subject, step) {
  try {
    return await step();
  } catch (error) {
    if (error instanceof Refusal) error.message = `${subject}: ${error.message}`;
    throw error;
  }
}
