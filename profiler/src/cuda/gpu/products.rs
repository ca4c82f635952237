//! Matrix products by cuBLASLt: its own first choice of algorithm for each size, as torch takes it. The others that it
//! names are kept to be compared with (`--check-kernels`).

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::mem::{MaybeUninit, size_of_val};
use std::ptr::from_ref;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cudarc::cublaslt::sys::cublasLtMatmulDescAttributes_t as Attribute;
use cudarc::cublaslt::{result, sys};
use cudarc::driver::{CudaSlice, CudaStream};

use super::launcher::{Address, address};
use crate::cuda::buffers::WORKSPACE_BYTES;
use crate::cuda::number::{Format, Storage};
use crate::cuda::shape::Matrix;

/// Algorithms that cuBLASLt is asked for; it may know fewer.
const NUM_ALGORITHMS: usize = 16;

/// A product of `num_rows` rows with a matrix of weights, and how both are kept.
type Size = (Matrix, u32, Storage);

/// Where a product's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Factors {
    /// In 16 bits always.
    pub(crate) output: Address,
    pub(crate) input: Address,
    pub(crate) weights: Address,
    /// Of the weights' scale, where weights and input are in e4m3; `None` where they are in 16 bits.
    pub(crate) scale: Option<Address>,
}

impl Factors {
    const fn storage(&self) -> Storage {
        if self.scale.is_some() { Storage::Fp8 } else { Storage::Half }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Products {
    handle: sys::cublasLtHandle_t,
    stream: Arc<CudaStream>,
    workspace: CudaSlice<u8>,
    format: Format,
    /// The scale of inputs in e4m3: their rows' own are not cuBLASLt's business (`quantize.cu`).
    one: CudaSlice<f32>,
    plans: BTreeMap<Size, Plan>,
}

/// What cuBLASLt is told for one size; freed with it.
#[derive(Debug)]
struct Plan {
    description: sys::cublasLtMatmulDesc_t,
    /// Weights, input, output.
    layouts: [sys::cublasLtMatrixLayout_t; 3],
    /// At least one; cuBLASLt's first choice is the first.
    algorithms: Vec<sys::cublasLtMatmulAlgo_t>,
}

impl Products {
    pub(crate) fn new(stream: &Arc<CudaStream>, format: Format) -> Result<Self> {
        let workspace = stream.alloc_zeros(usize::try_from(WORKSPACE_BYTES)?).context("cuBLASLt's workspace")?;
        let one = stream.clone_htod(&[1.0])?;
        let handle = result::create_handle().context("cuBLASLt")?;
        Ok(Self { handle, stream: Arc::clone(stream), workspace, format, one, plans: BTreeMap::new() })
    }

    /// `output = input × weightsᵀ`, for `num_rows` rows; everything row by row.
    ///
    /// # Errors
    /// If cuBLASLt has no algorithm for it or fails.
    pub(crate) fn multiply(&mut self, matrix: Matrix, num_rows: u32, factors: Factors) -> Result<()> {
        self.multiply_by(0, matrix, num_rows, factors)
    }

    /// How many algorithms cuBLASLt names for this size.
    ///
    /// # Errors
    /// If it has none.
    pub(crate) fn num_algorithms(&mut self, matrix: Matrix, num_rows: u32, storage: Storage) -> Result<usize> {
        Ok(self.planned((matrix, num_rows, storage))?.algorithms.len())
    }

    /// As [`Self::multiply`], by the algorithm of this number in cuBLASLt's order.
    ///
    /// # Errors
    /// If there is none of this number, or cuBLASLt fails.
    pub(crate) fn multiply_by(&mut self, number: usize, matrix: Matrix, num_rows: u32, factors: Factors) -> Result<()> {
        let size = (matrix, num_rows, factors.storage());
        self.planned(size)?;
        let plan = self.plans.get(&size).context("a plan that was just made")?;
        let algorithm = plan.algorithms.get(number).context("an algorithm that cuBLASLt did not name")?;
        let [weight_layout, input_layout, output_layout] = plan.layouts;
        if let Some(scale) = factors.scale {
            tell(plan.description, Attribute::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &scale)?;
        }
        let (alpha, beta) = (1.0_f32, 0.0_f32);
        // SAFETY: handle, description and layouts are alive (they are freed in `drop`); the addresses are those of
        // buffers that hold at least the layouts' rows and columns (`BufferSizes` and the weights' own sizes); the
        // workspace is as long as it is said to be; the scales are floats that live as long as the weights; alpha and
        // beta are read before the call returns.
        unsafe {
            result::matmul(
                self.handle,
                plan.description,
                from_ref(&alpha).cast::<c_void>(),
                from_ref(&beta).cast::<c_void>(),
                factors.weights as *const c_void,
                weight_layout,
                factors.input as *const c_void,
                input_layout,
                factors.output as *const c_void,
                output_layout,
                factors.output as *mut c_void,
                output_layout,
                from_ref(algorithm),
                address(&self.workspace, &self.stream) as *mut c_void,
                self.workspace.len(),
                self.stream.cu_stream().cast(),
            )
        }
        .with_context(|| format!("cuBLASLt for {matrix:?} and {num_rows} rows"))
    }

    /// The plan of a size, made when it is first asked for.
    fn planned(&mut self, size: Size) -> Result<&Plan> {
        if !self.plans.contains_key(&size) {
            let plan = self.plan(size).with_context(|| format!("cuBLASLt for {:?} and {} rows", size.0, size.1))?;
            self.plans.insert(size, plan);
        }
        self.plans.get(&size).context("a plan that was just made")
    }

    /// cuBLASLt counts column by column, so that our rows are its columns: output = (weights)ᵀ × input.
    fn plan(&self, (matrix, num_rows, storage): Size) -> Result<Plan> {
        let output = match self.format {
            Format::BFloat16 => sys::cudaDataType_t::CUDA_R_16BF,
            Format::Float16 => sys::cudaDataType_t::CUDA_R_16F,
        };
        let factor = match storage {
            Storage::Half => output,
            Storage::Fp8 => sys::cudaDataType_t::CUDA_R_8F_E4M3,
        };
        let [rows, columns, num_rows] = [matrix.rows, matrix.columns, num_rows].map(u64::from);
        let layout =
            |number, first: u64, second: u64| result::create_matrix_layout(number, first, second, first.cast_signed());
        let layouts =
            [layout(factor, columns, rows)?, layout(factor, columns, num_rows)?, layout(output, rows, num_rows)?];
        let single = sys::cudaDataType_t::CUDA_R_32F;
        let description = result::create_matmul_desc(sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, single)?;
        tell(description, Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &1_i32)?;
        if storage == Storage::Fp8 {
            let one = address(&self.one, &self.stream);
            tell(description, Attribute::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &one)?;
            tell(description, Attribute::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &one)?;
            // As in the kernels that vLLM multiplies with: sums in fewer bits, which is faster.
            tell(description, Attribute::CUBLASLT_MATMUL_DESC_FAST_ACCUM, &1_i8)?;
        }
        let preference = result::create_matmul_pref()?;
        let workspace_bytes = self.workspace.len();
        // SAFETY: the object was just created and not freed; the attribute is given a pointer to a size with that value's
        // length, read before the call returns.
        unsafe {
            result::set_matmul_pref_attribute(
                preference,
                sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                from_ref(&workspace_bytes).cast::<c_void>(),
                size_of_val(&workspace_bytes),
            )?;
        }
        let algorithms = self.algorithms(description, layouts, preference);
        // SAFETY: created above and used no more.
        unsafe { result::destroy_matmul_pref(preference) }?;
        Ok(Plan { description, layouts, algorithms: algorithms? })
    }

    /// What cuBLASLt names for a product, in its order.
    fn algorithms(
        &self,
        description: sys::cublasLtMatmulDesc_t,
        [weights, input, output]: [sys::cublasLtMatrixLayout_t; 3],
        preference: sys::cublasLtMatmulPreference_t,
    ) -> Result<Vec<sys::cublasLtMatmulAlgo_t>> {
        let mut found = [const { MaybeUninit::<sys::cublasLtMatmulHeuristicResult_t>::uninit() }; NUM_ALGORITHMS];
        let mut num_found = 0;
        // SAFETY: handle, description, layouts and preference are alive; cuBLASLt writes at most as many results as it
        // is asked for, which is the length of the array, and then their number.
        unsafe {
            sys::cublasLtMatmulAlgoGetHeuristic(
                self.handle,
                description,
                weights,
                input,
                output,
                output,
                preference,
                i32::try_from(NUM_ALGORITHMS)?,
                found.as_mut_ptr().cast(),
                &raw mut num_found,
            )
            .result()?;
        }
        let num_found = usize::try_from(num_found)?.min(NUM_ALGORITHMS);
        // SAFETY: cuBLASLt wrote so many results from the first on.
        let found = found.iter().take(num_found).map(|result| unsafe { result.assume_init_ref() });
        let usable = found.filter(|result| result.state == sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS);
        let algorithms: Vec<_> = usable.map(|result| result.algo).collect();
        ensure!(!algorithms.is_empty(), "cuBLASLt has no algorithm for this size");
        Ok(algorithms)
    }
}

/// Types that attributes of a product's description have: a flag of 8 or 32 bits, an address.
trait AttributeValue: Copy {}
impl AttributeValue for i8 {}
impl AttributeValue for i32 {}
impl AttributeValue for Address {}

/// Sets an attribute of a description that is alive. `value` must be of the attribute's type: all calls are in this file.
fn tell<T: AttributeValue>(description: sys::cublasLtMatmulDesc_t, attribute: Attribute, value: &T) -> Result<()> {
    // SAFETY: the description is alive until its plan is dropped; the value is read, with its own length, before the call
    // returns, and cuBLASLt refuses a length that is not the attribute's.
    unsafe {
        result::set_matmul_desc_attribute(
            description,
            attribute,
            from_ref(value).cast::<c_void>(),
            size_of_val(value),
        )?;
    }
    Ok(())
}

impl Drop for Products {
    /// The process is at its end with these; what cannot be freed then is freed with it.
    fn drop(&mut self) {
        for plan in self.plans.values() {
            // SAFETY: created by `plan`, freed nowhere else, not used afterwards.
            unsafe {
                plan.layouts.iter().for_each(|&layout| result::destroy_matrix_layout(layout).unwrap_or(()));
                result::destroy_matmul_desc(plan.description).unwrap_or(());
            }
        }
        // SAFETY: created in `new`, freed nowhere else, not used afterwards.
        unsafe { result::destroy_handle(self.handle) }.unwrap_or(());
    }
}
